#pragma once

#include <compare>
#include <cstdint>

namespace caravan {

// Names an open lookup, and outlives it.
struct LookupRef {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;

  auto operator<=>(const LookupRef&) const = default;
};

}  // namespace caravan
