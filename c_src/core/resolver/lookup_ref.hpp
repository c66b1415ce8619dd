#pragma once

#include <compare>
#include <cstdint>
#include <limits>

namespace caravan {

// Identifies an open lookup, and may outlive it.
struct LookupRef {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;

  auto operator<=>(const LookupRef&) const = default;
};

inline constexpr LookupRef kNoLookup{std::numeric_limits<std::uint32_t>::max(), 0};

}  // namespace caravan
