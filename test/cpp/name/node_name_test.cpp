#include "core/name/node_name.hpp"

#include <limits>
#include <string>

#include "catch.hpp"
#include "support/random_text.hpp"

namespace caravan {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

const PortRule kDefaultRule{};
const PortRule kAnyPort{4370, 1, 65535};

static_assert(noexcept(choose_port("app-4834@h", kDefaultRule)), "net_kernel must never see an exception of ours");

std::uint16_t port_of(std::string_view name, const PortRule& rule = kDefaultRule) {
  return choose_port(name, rule).port;
}

PortOrigin origin_of(std::string_view name, const PortRule& rule = kDefaultRule) {
  return choose_port(name, rule).origin;
}

// A model of the rule that treats digits as text.
PortChoice expected_choice(const std::string& node_name, const PortRule& rule) {
  if (node_name.size() > kMaxNodeNameBytes) {
    return {rule.default_port, PortOrigin::kNoDigits};
  }
  const auto name = node_name.substr(0, node_name.find('@'));
  auto digits = name.substr(name.find_last_not_of("0123456789") + 1);
  const auto before = name.substr(0, name.size() - digits.size());
  const bool counts = rule.port_in_name == PortInName::kDigits ||
                      (rule.port_in_name == PortInName::kDash && !before.empty() && before.back() == '-');
  if (digits.empty() || !counts) {
    return {rule.default_port, PortOrigin::kNoDigits};
  }
  digits.erase(0, digits.find_first_not_of('0'));
  const auto number = digits.size() > 5 ? std::numeric_limits<int>::max() : std::stoi('0' + digits);
  if (number < rule.first || number > rule.last) {
    return {rule.default_port, PortOrigin::kDigitsIgnored};
  }
  return {static_cast<std::uint16_t>(number), PortOrigin::kName};
}

TEST_CASE("the trailing digits before the at sign are the port") {
  CHECK(port_of("app-4834@h") == 4834);
  CHECK(origin_of("app-4834@h") == PortOrigin::kName);
  CHECK(port_of("app4834@h") == 4834);
  CHECK(port_of("app_4834@h") == 4834);
  CHECK(port_of("4834@h") == 4834);
  CHECK(port_of("web-2-4834@10.0.0.7") == 4834);
}

TEST_CASE("a name without trailing digits has the default port") {
  for (const auto name : {"app@h"sv, "app-4834x@h"sv, "app-4834-@h"sv, "4834app@h"sv, "app"sv, "@"sv, "@h"sv, ""sv}) {
    CAPTURE(name);
    CHECK(port_of(name) == 4370);
    CHECK(origin_of(name) == PortOrigin::kNoDigits);
  }
}

TEST_CASE("trailing digits outside the range give the default port and are reported") {
  // The ordinal of a StatefulSet, the number of a worker, and numbers above 65535.
  for (const auto name : {"app-0@pod"sv, "worker2@h"sv, "app-99999@h"sv, "app-0000@h"sv}) {
    CAPTURE(name);
    CHECK(port_of(name) == 4370);
    CHECK(origin_of(name) == PortOrigin::kDigitsIgnored);
  }
}

TEST_CASE("a range from 1 restores the ports of Caravan 1.0") {
  CHECK(port_of("worker2@h", kAnyPort) == 2);
  CHECK(port_of("app-65535@h", kAnyPort) == 65535);
  CHECK(port_of("app-0@pod", kAnyPort) == 4370);
  CHECK(port_of("app-65536@h", kAnyPort) == 4370);
}

TEST_CASE("with port_in_name dash, digits count as a whole segment after a dash") {
  const PortRule rule{4370, 1024, 65535, PortInName::kDash};
  CHECK(port_of("app-4834@h", rule) == 4834);
  CHECK(port_of("app--4834@h", rule) == 4834);
  CHECK(port_of("-4834@h", rule) == 4834);
  CHECK(port_of("app-04834@h", rule) == 4834);
  CHECK(origin_of("app-4834@h", rule) == PortOrigin::kName);
  CHECK(origin_of("app-2@h", rule) == PortOrigin::kDigitsIgnored);
  for (const auto name :
       {"worker2@h"sv, "app-7b77bc47b4-q2456@h"sv, "app-ab12345@h"sv, "app4834@h"sv, "app_4834@h"sv, "4834@h"sv}) {
    CAPTURE(name);
    CHECK(port_of(name, rule) == 4370);
    CHECK(origin_of(name, rule) == PortOrigin::kNoDigits);
  }
}

TEST_CASE("with port_in_name none, digits never count") {
  const PortRule rule{4370, 1024, 65535, PortInName::kNone};
  for (const auto name : {"app-4834@h"sv, "app4834@h"sv, "4834@h"sv, "app-2@h"sv}) {
    CAPTURE(name);
    CHECK(port_of(name, rule) == 4370);
    CHECK(origin_of(name, rule) == PortOrigin::kNoDigits);
  }
}

TEST_CASE("the range includes both ends") {
  CHECK(port_of("app-1023@h") == 4370);
  CHECK(port_of("app-1024@h") == 1024);
  CHECK(port_of("app-65535@h") == 65535);
  CHECK(port_of("app-65536@h") == 4370);

  const PortRule kOnePort{9000, 5000, 5000};
  CHECK(port_of("app-4999@h", kOnePort) == 9000);
  CHECK(port_of("app-5000@h", kOnePort) == 5000);
  CHECK(port_of("app-5001@h", kOnePort) == 9000);

  const PortRule kEmptyRange{9000, 5001, 5000};
  CHECK(port_of("app-5000@h", kEmptyRange) == 9000);
  CHECK(port_of("app-5001@h", kEmptyRange) == 9000);
}

TEST_CASE("leading zeros do not change the number") {
  CHECK(port_of("app-04834@h") == 4834);
  CHECK(port_of("app-" + std::string(26, '0') + "4834@h") == 4834);
}

TEST_CASE("a number of any length does not overflow to a port") {
  CHECK(port_of("app-" + std::string(30, '9') + "@h") == 4370);
  CHECK(port_of("app-4294972296@h") == 4370);            // 2^32 + 5000
  CHECK(port_of("app-18446744073709556616@h") == 4370);  // 2^64 + 5000
  CHECK(port_of("app-70536@h") == 4370);                 // 2^16 + 5000
}

TEST_CASE("only the part before the first at sign counts") {
  CHECK(port_of("app-4834@h-5000@x-6000") == 4834);
  CHECK(port_of("app@h-5000") == 4370);
  CHECK(port_of("@4834") == 4370);
  CHECK(port_of("app-4834") == 4834);
}

TEST_CASE("a name may contain any byte") {
  CHECK(port_of("caf\xE9-4834@h") == 4834);
  CHECK(port_of("\xF0\x9F\x90\xAB-4834@h") == 4834);
  CHECK(port_of("app\0-4834@h"sv) == 4834);
  CHECK(port_of("app-4834\0@h"sv) == 4370);
  CHECK(port_of("app-4834\0"sv) == 4370);
  CHECK(port_of("\0"sv) == 4370);
  // The neighbours of '0' and '9' in ASCII, and digits of other scripts, are no digits.
  CHECK(port_of("app/4834@h") == 4834);
  CHECK(port_of("app:4834@h") == 4834);
  CHECK(port_of("app-4834/@h") == 4370);
  CHECK(port_of("app-\xD9\xA4\xD9\xA8\xD9\xA3\xD9\xA4@h") == 4370);
}

TEST_CASE("a text longer than any node name has the default port") {
  CHECK(port_of(std::string(kMaxNodeNameBytes - 4, 'a') + "4834") == 4834);
  CHECK(port_of(std::string(kMaxNodeNameBytes - 3, 'a') + "4834") == 4370);
  CHECK(port_of("app-4834@" + std::string(std::size_t{1} << 20, 'h')) == 4370);
  CHECK(port_of(std::string(std::size_t{1} << 20, '7')) == 4370);
  CHECK(origin_of(std::string(std::size_t{1} << 20, '7')) == PortOrigin::kNoDigits);
}

TEST_CASE("the port of random bytes follows the rule") {
  const auto seed = GENERATE(1U, 2U, 3U, 4U);
  test::RandomText random{seed};
  for (int i = 0; i < 5000; ++i) {
    const PortRule rule{static_cast<std::uint16_t>(random.below(65536)),
                        static_cast<std::uint16_t>(random.below(65536)),
                        static_cast<std::uint16_t>(random.below(65536)), static_cast<PortInName>(random.below(3))};
    const auto name = random.text(12, "0123456789@-a");
    const auto actual = choose_port(name, rule);
    const auto expected = expected_choice(name, rule);
    if (actual.port != expected.port || actual.origin != expected.origin) {
      CAPTURE(seed, i, test::in_hex(name), rule.default_port, rule.first, rule.last, actual.port, expected.port);
      FAIL("the port differs from the rule");
    }
  }
}

}  // namespace
}  // namespace caravan
