#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/name/node_name.hpp"
#include "core/wire/dns_name.hpp"
#include "core/wire/ip_address.hpp"

// The rules for names over any bytes: four octets of port range, one that is not used, and the name.
namespace {

constexpr std::size_t kParameters = 5;

void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

std::uint16_t u16(const std::uint8_t* data) { return static_cast<std::uint16_t>(data[0] << 8 | data[1]); }

void check_port(std::string_view name, const caravan::PortRule& rule) {
  const auto choice = caravan::choose_port(name, rule);
  const auto before_at = name.substr(0, name.find('@'));
  const bool ends_in_digit = !before_at.empty() && before_at.back() >= '0' && before_at.back() <= '9';
  switch (choice.origin) {
    case caravan::PortOrigin::kName: {
      require(choice.port >= rule.first && choice.port <= rule.last);
      const auto digits = std::to_string(choice.port);
      require(before_at.ends_with(digits));
      // Whatever digits stand before are zeros.
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
      require(!ends_in_digit || name.size() > caravan::kMaxNodeNameBytes);
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
  const std::string_view text{reinterpret_cast<const char*>(data) + kParameters, size - kParameters};
  check_port(text, {4370, first, last});
  const auto before_at = text.substr(0, text.find('@'));
  require(caravan::is_helper_name(text) ==
          caravan::is_helper_name(before_at.substr(0, std::min(before_at.size(), caravan::kMaxNodeNameBytes))));
  check_normalized(text);
  return 0;
}
