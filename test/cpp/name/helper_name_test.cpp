#include "core/name/helper_name.hpp"

#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "core/name/node_name.hpp"
#include "support/random_text.hpp"

namespace caravan {
namespace {

using namespace std::string_view_literals;

static_assert(noexcept(helper_pattern("rem-1f3a-app-4370", HelperRule{})));
static_assert(noexcept(helper_port("rem-1f3a-app-4370", HelperRule{}, 4370)));
static_assert(fnv1a("") == 0x811C9DC5 && fnv1a("a") == 0xE40C292C && fnv1a("foobar") == 0xBF9CF968);

// The pattern of a whole node name, or "none".
std::string pattern_of(std::string_view node_name, const HelperRule& helpers = {}) {
  PortRule rule;
  rule.helpers = helpers;
  const auto choice = choose_port(node_name, rule);
  return choice.origin == PortOrigin::kHelper ? std::string{choice.pattern} : "none";
}

HelperRule with_patterns(const std::vector<std::string_view>& texts) {
  HelperRule rule;
  for (const auto text : texts) {
    rule.patterns.push_back(HelperPattern::parse(text).value());
  }
  return rule;
}

bool is_pattern(std::string_view text) { return HelperPattern::parse(text).has_value(); }

bool matches(std::string_view pattern, std::string_view name) { return HelperPattern::parse(pattern)->matches(name); }

// A model of patterns that tries every match.
bool expected_match(std::string_view pattern, std::string_view name, bool after_digit = false) {
  constexpr auto kNumber = "{number}"sv;
  const auto is_digit_at = [&](std::size_t i) { return i < name.size() && name[i] >= '0' && name[i] <= '9'; };
  if (pattern.empty()) {
    return name.empty();
  }
  if (pattern.front() == '*') {
    for (std::size_t taken = 0; taken <= name.size(); ++taken) {
      if (expected_match(pattern.substr(1), name.substr(taken), taken == 0 ? after_digit : is_digit_at(taken - 1))) {
        return true;
      }
    }
    return false;
  }
  if (pattern.starts_with(kNumber)) {
    std::size_t digits = 0;
    while (is_digit_at(digits)) {
      ++digits;
    }
    return !after_digit && digits > 0 && expected_match(pattern.substr(kNumber.size()), name.substr(digits), true);
  }
  return !name.empty() && name.front() == pattern.front() &&
         expected_match(pattern.substr(1), name.substr(1), is_digit_at(0));
}

TEST_CASE("names of known tools are helpers") {
  for (const auto& [name, pattern] : {
           // Mix on Unix: 16 random bits in hexadecimal.
           std::pair{"rem-1f3a-app-4370@h"sv, "mix_remote"sv},
           std::pair{"rpc-00ff-app-4370@h"sv, "mix_rpc"sv},
           std::pair{"rem-1234-app@h"sv, "mix_remote"sv},
           std::pair{"rem-abcd-a"sv, "mix_remote"sv},
           // On Windows: %RANDOM%, up to 32767.
           std::pair{"rem-7-app-4370@h"sv, "mix_remote"sv},
           std::pair{"rpc-32767-app-4370@h"sv, "mix_rpc"sv},
           std::pair{"maint5f3e-app-4370@h"sv, "relx_maint"sv},
           std::pair{"remsh0-app-4370@h"sv, "relx_remsh"sv},
           std::pair{"longnameDEADbeef01-app@h"sv, "relx_longname"sv},
           std::pair{"app-4370_maint_16597@h"sv, "nodetool"sv},
           std::pair{"abc-ctl-ejabberd-5601@h"sv, "ejabberdctl"sv},
           std::pair{"0F3-debug-ejabberd@h"sv, "ejabberdctl"sv},
           std::pair{"0f3-top-ejabberd@h"sv, "ejabberdctl"sv},
           std::pair{"0f3-etop-ejabberd@h"sv, "ejabberdctl"sv},
           std::pair{"0f3-ping-ejabberd@h"sv, "ejabberdctl"sv},
           std::pair{"0f3-ping@h"sv, "ejabberdctl"sv},
           std::pair{"rabbitmqcli-18-rabbit-15671@h"sv, "rabbitmq_cli"sv},
           std::pair{"rabbitmqcli-902-rabbit@h"sv, "rabbitmq_cli"sv},
           std::pair{"rabbitmqcli-16597-4-rabbit@h"sv, "rabbitmq_cli"sv},
           std::pair{"rabbit_prelaunch_16597@localhost"sv, "rabbitmq_prelaunch"sv},
           std::pair{"rabbit-15671_prelaunch_16597@localhost"sv, "rabbitmq_prelaunch"sv},
           std::pair{"peer-1-4370@h"sv, "peer"sv},
           std::pair{"peer-576460752303423487-31337@h"sv, "peer"sv},
           std::pair{"pg_SUITE-two-1-4370@h"sv, "common_test"sv},
           std::pair{"pg_SUITE-two-second-3-4370@h"sv, "common_test"sv},
           std::pair{"pg_SUITE-two2-3-4370@h"sv, "common_test"sv},
           std::pair{"pg_SUITE-3-4370@h"sv, "common_test"sv},
       }) {
    CAPTURE(name);
    CHECK(pattern_of(name) == pattern);
  }
}

TEST_CASE("a service whose name only begins like a helper's is no helper") {
  for (const auto name : {
           // The words without a random part.
           "rpc-gateway-4370@h"sv,
           "rem-app-4370@h"sv,
           "remote-4370@h"sv,
           "rpc-4370@h"sv,
           "maint-4370@h"sv,
           "maintenance-4370@h"sv,
           "remsh-4370@h"sv,
           "longname-4370@h"sv,
           "peer-4370@h"sv,
           "peer-app-4370@h"sv,
           "rabbitmqcli-rabbit@h"sv,
           "app_maint_@h"sv,
           "app_maint@h"sv,
           "app-maint-4370@h"sv,
           "rabbit_prelaunch@h"sv,
           "rabbit-prelaunch-16597@h"sv,
           "pg_SUITE@h"sv,
           "pg_SUITE-two@h"sv,
           "ct-15000@h"sv,
           // The random part has another length or alphabet.
           "rem-1f3-app@h"sv,
           "rem-1f3a5-app@h"sv,
           "rem-1F3A-app@h"sv,
           "rem-123456-app@h"sv,
           "rem-1f3g-app@h"sv,
           "maintzz-app@h"sv,
           "peer-1a-4370@h"sv,
           "peer-1-4370x@h"sv,
           "peer-1-43-70@h"sv,
           "ab-ctl-ejabberd@h"sv,
           "abcd-ctl-ejabberd@h"sv,
           "abg-ctl-ejabberd@h"sv,
           "abc-web-ejabberd-5601@h"sv,
           "abc-control-ejabberd@h"sv,
           "rabbitmqcli-1f-rabbit@h"sv,
           "rabbit_prelaunch_1f@h"sv,
           "pg_SUITE-two-1-a@h"sv,
           "pg_SUITE-two-4370@h"sv,
           "pg_SUITEtwo-1-4370@h"sv,
           "pg_suite-two-1-4370@h"sv,
           // A number after the words, but no node's name after that.
           "rpc-2024-4370@h"sv,
           "rem-1-4370@h"sv,
           "maint1-4370@h"sv,
           "abc-ctl-4370@h"sv,
           "rabbitmqcli-18-4370@h"sv,
           // The name ends after the random part.
           "rem-1f3a@h"sv,
           "rem-1f3a-@h"sv,
           "rem-1f3aapp@h"sv,
           "maint5f-@h"sv,
           "maint5f@h"sv,
           "abc-ctl@h"sv,
           "abc-ctl-@h"sv,
           "abc-ping-@h"sv,
           "rabbitmqcli-18@h"sv,
           "peer-1-@h"sv,
           "peer-1@h"sv,
           // The words elsewhere.
           "app-rem-1f3a-4370@h"sv,
           "xrem-1f3a-app@h"sv,
           "REM-1f3a-app@h"sv,
           "app-peer-1-4370@h"sv,
           "app-1-4370@h"sv,
           "app@rem-1f3a-app"sv,
           "@rem-1f3a-app"sv,
           "app-4370@h"sv,
           "undefined@h"sv,
           "rem-"sv,
           "rem"sv,
           ""sv,
       }) {
    CAPTURE(name);
    CHECK(pattern_of(name) == "none");
  }
}

TEST_CASE("only what may stand before the at sign of a node name is a helper's") {
  const auto any = with_patterns({"x*"});
  CHECK(pattern_of("x" + std::string(254, 'a'), any) == "x*");
  CHECK(pattern_of("x" + std::string(255, 'a'), any) == "none");
  CHECK(pattern_of("rem-1f3a-" + std::string(std::size_t{1} << 20, 'a')) == "none");
  CHECK(pattern_of("x@" + std::string(std::size_t{1} << 20, 'h'), any) == "none");
  CHECK(pattern_of("x.a@h", any) == "none");
  CHECK(pattern_of("rem-1f3a-\xE9@h") == "none");
  CHECK(pattern_of("rem-1f3a-\0"sv) == "none");
}

TEST_CASE("the port of a helper is the hash of its name") {
  // Computed by another program. If a value changes, nodes of different versions no longer find each other.
  for (const auto& [name, port] : {
           std::pair{"rem-1f3a-app-4370"sv, 64300},
           std::pair{"rpc-00ff-app-4834"sv, 61911},
           std::pair{"maint5f3e-app-4370"sv, 64790},
           std::pair{"abc-ctl-ejabberd-5601"sv, 63572},
           std::pair{"rabbitmqcli-18-rabbit-15671"sv, 65507},
           std::pair{"rabbit_prelaunch_16597"sv, 63621},
           std::pair{"peer-1-4370"sv, 63544},
           std::pair{"pg_SUITE-two-1-4370"sv, 63851},
           std::pair{"rpc-0161-app"sv, 65535},
       }) {
    CAPTURE(name);
    CHECK(helper_port(name, {}, 4370) == port);
    CHECK(choose_port(name, {}).port == port);
    CHECK(choose_port(std::string{name} + "@example.net", {}).port == port);
  }
}

TEST_CASE("the port of a helper is neither the default port nor the number at the end of its name") {
  CHECK(61000 + fnv1a("rem-1f3a-app-62117") % 4536 == 62117);
  CHECK(helper_port("rem-1f3a-app-62117", {}, 4370) == 62118);
  CHECK(helper_port("rem-1f3a-app-62117", {}, 62118) == 62119);
  CHECK(helper_port("rpc-0161-app", {}, 65535) == 61000);
  CHECK(helper_port("rem-1f3a-app-4370", {}, 64300) == 64301);
  CHECK(helper_port("rem-1f3a-app-4370", {}, 64301) == 64300);
}

TEST_CASE("port_range and port_in_name make no difference to a helper's port") {
  PortRule rule{4370, 5000, 5001, PortInName::kNone};
  CHECK(choose_port("rem-1f3a-app-62117", rule).port == 62118);
  rule.port_in_name = PortInName::kDash;
  CHECK(choose_port("rem-1f3a-app-62117", rule).port == 62118);
}

TEST_CASE("in a range of three ports there is always one") {
  const auto seed = GENERATE(31U, 32U);
  test::RandomText random{seed};
  for (int i = 0; i < 5000; ++i) {
    const auto first = static_cast<std::uint16_t>(random.below(65536 - 2));
    const auto last = static_cast<std::uint16_t>(first + 2);
    const auto number = static_cast<std::uint16_t>(first + random.below(3));
    const auto default_port = static_cast<std::uint16_t>(first + random.below(3));
    const auto name = "rem-1f3a-app" + std::to_string(random.below(1000)) + '-' + std::to_string(number);
    const auto port = helper_port(name, {first, last, {}}, default_port);
    if (port < first || port > last || port == number || port == default_port) {
      CAPTURE(seed, i, name, first, default_port, port);
      FAIL("the port is one that was to be left out");
    }
  }
}

TEST_CASE("the ports of many helpers lie in the range and differ from those that are skipped") {
  const auto seed = GENERATE(41U, 42U);
  test::RandomText random{seed};
  for (int i = 0; i < 20000; ++i) {
    const auto number = 1 + random.below(65535);
    const auto name =
        "rpc-" + test::in_hex(std::string(2, static_cast<char>(random.below(256)))) + "-app-" + std::to_string(number);
    PortRule rule;
    rule.default_port = static_cast<std::uint16_t>(61000 + random.below(4536));
    const auto choice = choose_port(name, rule);
    if (choice.origin != PortOrigin::kHelper || choice.port < 61000 || choice.port == number ||
        choice.port == rule.default_port) {
      CAPTURE(seed, i, name, rule.default_port, choice.port);
      FAIL("the port is one that was to be left out");
    }
  }
}

TEST_CASE("patterns are literal text, any characters and numbers") {
  CHECK(matches("foo-{number}-{number}", "foo-12-4370"));
  CHECK_FALSE(matches("foo-{number}-{number}", "foo-12-"));
  CHECK_FALSE(matches("foo-{number}-{number}", "foo--4370"));
  CHECK_FALSE(matches("foo-{number}-{number}", "foo-12-4370x"));
  CHECK_FALSE(matches("foo-{number}-{number}", "xfoo-12-4370"));
  CHECK(matches("foo*", "foo"));
  CHECK(matches("foo*", "foobar"));
  CHECK_FALSE(matches("foo*", "fo"));
  CHECK(matches("*foo", "foo"));
  CHECK(matches("*foo", "foofoo"));
  CHECK(matches("*-foo-*", "a-foo-b-foo-c"));
  CHECK(matches("a**b", "ab"));
  CHECK(matches("app{number}x", "app12x"));
  CHECK_FALSE(matches("app{number}x", "appx"));
  CHECK(matches("*{number}x*{number}", "1x2"));
  CHECK(matches("foo", "foo"));
  CHECK_FALSE(matches("foo", "Foo"));
  CHECK_FALSE(matches("foo", ""));
  CHECK(matches(std::string(64, 'a'), std::string(64, 'a')));
  CHECK_FALSE(matches(std::string(64, 'a'), std::string(63, 'a')));
  CHECK_FALSE(matches(std::string(64, 'a'), std::string(65, 'a')));
}

TEST_CASE("text that matches no name or any name is no pattern") {
  for (const auto text : {""sv,
                          "*"sv,
                          "**"sv,
                          "{number}"sv,
                          "*{number}*"sv,
                          "foo.bar"sv,
                          "foo@host"sv,
                          "foo bar"sv,
                          "foo\0"sv,
                          "caf\xC3\xA9"sv,
                          "foo{"sv,
                          "foo}"sv,
                          "{name}"sv,
                          "foo-{Number}"sv,
                          "foo{number"sv,
                          "{number}{number}-"sv,
                          "a{number}*{number}"sv,
                          "foo1{number}"sv,
                          "foo{number}1"sv,
                          "foo1*{number}"sv,
                          "foo{number}*1"sv}) {
    CAPTURE(text);
    CHECK_FALSE(is_pattern(text));
  }
  CHECK(is_pattern(std::string(64, 'a')));
  CHECK_FALSE(is_pattern(std::string(65, 'a')));
}

TEST_CASE("the first pattern that matches is named, built-in ones first") {
  const auto rule = with_patterns({"rem-*", "foo-{number}", "foo-*"});
  CHECK(pattern_of("rem-1f3a-app@h", rule) == "mix_remote");
  CHECK(pattern_of("rem-app@h", rule) == "rem-*");
  CHECK(pattern_of("foo-4370@h", rule) == "foo-{number}");
  CHECK(pattern_of("foo-app@h", rule) == "foo-*");
  CHECK(pattern_of("fo-4370@h", rule) == "none");
}

TEST_CASE("random patterns agree with a simple model") {
  const auto seed = GENERATE(51U, 52U, 53U, 54U);
  test::RandomText random{seed};
  for (int i = 0; i < 5000; ++i) {
    std::string text;
    for (std::size_t pieces = 1 + random.below(6); pieces > 0; --pieces) {
      const std::string_view kPieces[] = {"*", "{number}", "a", "b", "-", "1"};
      text += kPieces[random.below(std::size(kPieces))];
    }
    const auto pattern = HelperPattern::parse(text);
    std::string name;
    for (std::size_t length = random.below(9); length > 0; --length) {
      name += "ab-12"[random.below(5)];
    }
    if (pattern && pattern->matches(name) != expected_match(text, name)) {
      CAPTURE(seed, i, text, name);
      FAIL("the pattern means something else");
    }
  }
}

}  // namespace
}  // namespace caravan
