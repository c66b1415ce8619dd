#include "core/name/node_name.hpp"

#include <algorithm>
#include <cstddef>

#include "core/wire/dns_name.hpp"
#include "core/wire/ip_address.hpp"

namespace caravan {
namespace {

constexpr std::size_t kMaxAtomCharacters = 255;

// <cctype> depends on the locale of the process we are loaded into; these do not.
constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_lower_hex(char c) noexcept { return is_digit(c) || (c >= 'a' && c <= 'f'); }
constexpr bool is_hex(char c) noexcept { return is_lower_hex(c) || (c >= 'A' && c <= 'F'); }
constexpr bool is_letter(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
constexpr bool is_name_character(char c) noexcept { return is_letter(c) || is_digit(c) || c == '-' || c == '_'; }

std::string_view before_at(std::string_view node_name) noexcept { return node_name.substr(0, node_name.find('@')); }

template <typename Predicate>
std::size_t leading(std::string_view text, Predicate matches) noexcept {
  return static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), matches) - text.begin());
}

// `text` without `prefix`, or nothing.
std::optional<std::string_view> after(std::string_view text, std::string_view prefix) noexcept {
  if (!text.starts_with(prefix)) {
    return std::nullopt;
  }
  return text.substr(prefix.size());
}

// Helpers carry the name of a node, not just its port: `rpc-2024-4370` is an ordinary node.
bool is_dash_then_name(std::string_view text) noexcept {
  return text.size() > 1 && text.front() == '-' && leading(text.substr(1), is_digit) < text.size() - 1;
}

// Mix: `rem-$(rand)-NODE` and `rpc-$(rand)-NODE` with 16 random bits, four lower-case hexadecimal digits from the Unix
// script, one to five decimal digits (%RANDOM%) from the Windows one.
bool is_mix_helper(std::string_view name) noexcept {
  auto rest = after(name, "rem-");
  if (!rest) {
    rest = after(name, "rpc-");
  }
  if (!rest) {
    return false;
  }
  const auto hex = leading(*rest, is_lower_hex);
  const auto decimal = leading(*rest, is_digit);
  return (hex == 4 && is_dash_then_name(rest->substr(hex))) ||
         (decimal >= 1 && decimal <= 5 && is_dash_then_name(rest->substr(decimal)));
}

// relx: `maint<hex>-NODE` (nodetool), `longname<hex>-NODE`, and `remsh<hex>-NODE` of its older releases.
bool is_relx_helper(std::string_view name) noexcept {
  for (const std::string_view prefix : {"maint", "remsh", "longname"}) {
    if (const auto rest = after(name, prefix)) {
      const auto hex = leading(*rest, is_hex);
      return hex >= 1 && is_dash_then_name(rest->substr(hex));
    }
  }
  return false;
}

// peer:random_name/0: `peer-<n>-<pid of the operating system>`.
bool is_peer_name(std::string_view name) noexcept {
  const auto rest = after(name, "peer-");
  if (!rest) {
    return false;
  }
  const auto count = leading(*rest, is_digit);
  const auto dash_and_pid = rest->substr(count);
  return count > 0 && dash_and_pid.size() > 1 && dash_and_pid.front() == '-' &&
         leading(dash_and_pid.substr(1), is_digit) == dash_and_pid.size() - 1;
}

}  // namespace

PortChoice choose_port(std::string_view node_name, const PortRule& rule) noexcept {
  if (node_name.size() > kMaxNodeNameBytes) {
    return {rule.default_port, PortOrigin::kNoDigits};
  }
  const auto name = before_at(node_name);
  auto first_digit = name.size();
  while (first_digit > 0 && is_digit(name[first_digit - 1])) {
    --first_digit;
  }
  if (first_digit == name.size()) {
    return {rule.default_port, PortOrigin::kNoDigits};
  }
  std::uint32_t number = 0;
  for (const char digit : name.substr(first_digit)) {
    number = number * 10 + static_cast<std::uint32_t>(digit - '0');
    if (number > rule.last) {
      return {rule.default_port, PortOrigin::kDigitsIgnored};
    }
  }
  if (number < rule.first) {
    return {rule.default_port, PortOrigin::kDigitsIgnored};
  }
  return {static_cast<std::uint16_t>(number), PortOrigin::kName};
}

bool is_helper_name(std::string_view node_name) noexcept {
  const auto name = before_at(node_name.substr(0, kMaxNodeNameBytes));
  return is_mix_helper(name) || is_relx_helper(name) || is_peer_name(name);
}

bool is_valid_basename(std::string_view text) noexcept {
  return !text.empty() && text.size() <= kMaxAtomCharacters && leading(text, is_name_character) == text.size();
}

std::optional<std::string> normalize_node_name(std::string_view text) {
  const auto at = text.find('@');
  if (at == std::string_view::npos || !is_valid_basename(text.substr(0, at))) {
    return std::nullopt;
  }
  const auto host = text.substr(at + 1);
  if (!is_dns_name(host) && !parse_ip_address(host)) {
    return std::nullopt;
  }
  if (text.ends_with('.')) {
    text.remove_suffix(1);
  }
  if (text.size() > kMaxAtomCharacters) {
    return std::nullopt;
  }
  std::string name{text};
  std::transform(name.begin() + static_cast<std::ptrdiff_t>(at), name.end(),
                 name.begin() + static_cast<std::ptrdiff_t>(at), to_lower_ascii);
  return name;
}

}  // namespace caravan
