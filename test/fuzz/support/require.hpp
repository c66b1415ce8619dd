#pragma once

#include <cstdio>
#include <cstdlib>

namespace caravan::fuzz {

// An assertion of a fuzzer. assert() would be missing in a release build, and Clang 14 lacks std::source_location.
inline void require(bool holds, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  if (!holds) {
    std::fprintf(stderr, "%s:%d: this does not hold\n", file, line);
    std::abort();
  }
}

}  // namespace caravan::fuzz
