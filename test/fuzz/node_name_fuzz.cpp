#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/name/node_name.hpp"
#include "core/wire/dns_name.hpp"
#include "core/wire/ip_address.hpp"
#include "support/entry.hpp"
#include "support/name_pattern.hpp"
#include "support/require.hpp"

// Checks the invariants of the rules for names. Input: four octets of port range, one of port_in_name, optionally a
// pattern of helper names and a line feed, and the name.
namespace {

using caravan::fuzz::expected_match;
using caravan::fuzz::is_digit;
using caravan::fuzz::require;

constexpr std::size_t kParameters = 5;

std::uint16_t u16(const std::uint8_t* data) { return static_cast<std::uint16_t>(data[0] << 8 | data[1]); }

void check_helper(std::string_view before_at, const caravan::PortChoice& choice, const caravan::PortRule& rule) {
  require(caravan::is_valid_basename(before_at));
  require(choice.port >= rule.helpers.first && choice.port <= rule.helpers.last && choice.port != rule.default_port);
  const auto digits = before_at.substr(before_at.find_last_not_of("0123456789") + 1);
  const auto significant = digits.substr(std::min(digits.find_first_not_of('0'), digits.size()));
  require(significant != std::to_string(choice.port));
  if (!rule.helpers.patterns.empty() && choice.pattern == rule.helpers.patterns.front().text()) {
    require(expected_match(choice.pattern, before_at));
  }
}

void check_port(std::string_view name, const caravan::PortRule& rule) {
  const auto choice = caravan::choose_port(name, rule);
  const auto before_at = name.substr(0, name.find('@'));
  if (choice.origin != caravan::PortOrigin::kHelper && !rule.helpers.patterns.empty() &&
      name.size() <= caravan::kMaxNodeNameBytes && caravan::is_valid_basename(before_at)) {
    require(!expected_match(rule.helpers.patterns.front().text(), before_at));
  }
  const bool ends_in_digit = !before_at.empty() && is_digit(before_at.back());
  switch (choice.origin) {
    case caravan::PortOrigin::kHelper:
      check_helper(before_at, choice, rule);
      break;
    case caravan::PortOrigin::kName: {
      require(choice.port >= rule.first && choice.port <= rule.last);
      const auto digits = std::to_string(choice.port);
      require(before_at.ends_with(digits));
      // Digits before the number are zeros.
      const auto rest = before_at.substr(0, before_at.size() - digits.size());
      const auto last_other = rest.find_last_not_of('0');
      require(last_other == std::string_view::npos || rest[last_other] < '0' || rest[last_other] > '9');
      break;
    }
    case caravan::PortOrigin::kDigitsIgnored:
      require(choice.port == rule.default_port && ends_in_digit);
      break;
    case caravan::PortOrigin::kNoDigits:
      require(choice.port == rule.default_port);
      require(!ends_in_digit || name.size() > caravan::kMaxNodeNameBytes ||
              rule.port_in_name != caravan::PortInName::kDigits);
      break;
  }
}

void check_normalized(std::string_view text) {
  const auto name = caravan::normalize_node_name(text);
  if (!name) {
    return;
  }
  require(name->size() <= 255 && std::count(name->begin(), name->end(), '@') == 1);
  const auto at = name->find('@');
  const auto host = std::string_view{*name}.substr(at + 1);
  require(caravan::is_valid_basename(name->substr(0, at)) && text.starts_with(name->substr(0, at + 1)));
  require((caravan::is_dns_name(host) && !host.ends_with('.')) || caravan::parse_ip_address(host));
  require(std::none_of(host.begin(), host.end(), [](char c) { return c >= 'A' && c <= 'Z'; }));
  require(caravan::normalize_node_name(*name) == name);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < kParameters) {
    return 0;
  }
  const auto first = u16(data);
  const auto last = u16(data + 2);
  std::string_view text{reinterpret_cast<const char*>(data) + kParameters, size - kParameters};
  caravan::PortRule rule{4370, first, last, static_cast<caravan::PortInName>(data[4] % 3)};
  rule.helpers.first = std::min<std::uint16_t>(first, 65533);
  rule.helpers.last = std::max(last, static_cast<std::uint16_t>(rule.helpers.first + 2));
  if (const auto end = text.find('\n'); end != std::string_view::npos) {
    if (auto pattern = caravan::HelperPattern::parse(text.substr(0, end))) {
      rule.helpers.patterns.push_back(std::move(*pattern));
    }
    text.remove_prefix(end + 1);
  }
  check_port(text, rule);
  check_normalized(text);
  return 0;
}
