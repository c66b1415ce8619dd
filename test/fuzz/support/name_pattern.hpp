#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

namespace caravan::fuzz {

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Returns whether the pattern matches the name. Keeps the set of positions where a match of the pieces so far can end.
inline bool expected_match(std::string_view pattern, std::string_view name) {
  constexpr std::string_view kNumber = "{number}";
  std::vector<bool> ends(name.size() + 1);
  ends[0] = true;
  while (!pattern.empty()) {
    std::vector<bool> next(name.size() + 1);
    const bool number = pattern.starts_with(kNumber);
    for (std::size_t i = 0; i <= name.size(); ++i) {
      if (!ends[i]) {
        continue;
      }
      if (pattern.front() == '*') {
        std::fill(next.begin() + static_cast<std::ptrdiff_t>(i), next.end(), true);
      } else if (number && i < name.size() && is_digit(name[i]) && (i == 0 || !is_digit(name[i - 1]))) {
        next[std::min(name.find_first_not_of("0123456789", i), name.size())] = true;
      } else if (!number && i < name.size() && name[i] == pattern.front()) {
        next[i + 1] = true;
      }
    }
    ends = std::move(next);
    pattern.remove_prefix(number ? kNumber.size() : 1);
  }
  return ends.back();
}

}  // namespace caravan::fuzz
