#include "core/name/node_name.hpp"

#include <algorithm>
#include <cstddef>

#include "core/name/name_text.hpp"
#include "core/wire/dns_name.hpp"
#include "core/wire/ip_address.hpp"

namespace caravan {
namespace {

constexpr std::size_t kMaxAtomCharacters = 255;

std::string_view before_at(std::string_view node_name) noexcept { return node_name.substr(0, node_name.find('@')); }

// Returns whether the digits at the end of `name` may say its port.
bool may_be_port(std::string_view name, std::string_view digits, PortInName port_in_name) noexcept {
  switch (port_in_name) {
    case PortInName::kDigits:
      return true;
    case PortInName::kDash:
      return name.substr(0, name.size() - digits.size()).ends_with('-');
    case PortInName::kNone:
      break;
  }
  return false;
}

}  // namespace

PortChoice choose_port(std::string_view node_name, const PortRule& rule) noexcept {
  if (node_name.size() > kMaxNodeNameBytes) {
    return {rule.default_port, PortOrigin::kNoDigits};
  }
  const auto name = before_at(node_name);
  if (is_valid_basename(name)) {
    if (const auto pattern = helper_pattern(name, rule.helpers)) {
      return {helper_port(name, rule.helpers, rule.default_port), PortOrigin::kHelper, *pattern};
    }
  }
  const auto digits = trailing_digits(name);
  if (digits.empty() || !may_be_port(name, digits, rule.port_in_name)) {
    return {rule.default_port, PortOrigin::kNoDigits};
  }
  const auto number = port_number(digits);
  if (!number || *number < rule.first || *number > rule.last) {
    return {rule.default_port, PortOrigin::kDigitsIgnored};
  }
  return {*number, PortOrigin::kName};
}

bool is_valid_basename(std::string_view text) noexcept {
  return !text.empty() && text.size() <= kMaxAtomCharacters && leading(text, is_name_character) == text.size();
}

std::optional<std::string> normalize_node_name(std::string_view text) {
  // No longer text can be valid: a node name is ASCII, and may end in one dot. This bounds the work.
  if (text.size() > kMaxAtomCharacters + 1) {
    return std::nullopt;
  }
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
