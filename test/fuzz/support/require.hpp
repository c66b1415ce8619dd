#pragma once

#include <cstdio>
#include <cstdlib>

namespace caravan::fuzz {

// What a fuzzer claims of its target. Not <cassert>, which a release build leaves out, and not std::source_location,
// which Clang 14 lacks.
inline void require(bool holds, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  if (!holds) {
    std::fprintf(stderr, "%s:%d: this does not hold\n", file, line);
    std::abort();
  }
}

}  // namespace caravan::fuzz
