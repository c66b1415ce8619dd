#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

// Character classes of names. Unlike <cctype>, they do not depend on the locale, which belongs to the process that
// loads this library.
namespace caravan {

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_lower_hex(char c) noexcept { return is_digit(c) || (c >= 'a' && c <= 'f'); }
constexpr bool is_hex(char c) noexcept { return is_lower_hex(c) || (c >= 'A' && c <= 'F'); }
constexpr bool is_letter(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
constexpr bool is_name_character(char c) noexcept { return is_letter(c) || is_digit(c) || c == '-' || c == '_'; }

// Returns the number of characters at the beginning of `text` that match.
template <typename Predicate>
constexpr std::size_t leading(std::string_view text, Predicate matches) noexcept {
  return static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), matches) - text.begin());
}

constexpr std::string_view trailing_digits(std::string_view text) noexcept {
  auto first = text.size();
  while (first > 0 && is_digit(text[first - 1])) {
    --first;
  }
  return text.substr(first);
}

// Returns the value of a string of digits of any length, or nullopt if it is above 65535.
constexpr std::optional<std::uint16_t> port_number(std::string_view digits) noexcept {
  std::uint32_t number = 0;
  for (const char digit : digits) {
    number = number * 10 + static_cast<std::uint32_t>(digit - '0');
    if (number > std::numeric_limits<std::uint16_t>::max()) {
      return std::nullopt;
    }
  }
  return static_cast<std::uint16_t>(number);
}

}  // namespace caravan
