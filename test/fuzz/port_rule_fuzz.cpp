#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/name/node_name.hpp"
#include "support/entry.hpp"
#include "support/input.hpp"
#include "support/name_pattern.hpp"
#include "support/require.hpp"

// Compares the port of a name with a second implementation of docs/helpers.md, which uses regular expressions for the
// built-in patterns and text for numbers. Input: default port, port range, range of helpers, which digits count, the
// number of patterns, a line for each pattern, and the name.
namespace {

using caravan::HelperPattern;
using caravan::HelperRule;
using caravan::PortChoice;
using caravan::PortInName;
using caravan::PortOrigin;
using caravan::PortRule;
using caravan::fuzz::Input;
using caravan::fuzz::require;

struct BuiltIn {
  const char* name;
  std::regex regex;
};

// The helper's own part of a name precedes a node's name, which has a character that is no digit.
const std::vector<BuiltIn>& built_ins() {
  static const auto all = [] {
    const std::string node = "-[0-9]*[^0-9].*";
    const std::string random = "([0-9a-f]{4}|[0-9]{1,5})";
    const auto regex = [](const std::string& text) { return std::regex{text, std::regex::optimize}; };
    return std::vector<BuiltIn>{
        {"mix_remote", regex("rem-" + random + node)},
        {"mix_rpc", regex("rpc-" + random + node)},
        {"relx_maint", regex("maint[0-9a-fA-F]+" + node)},
        {"relx_remsh", regex("remsh[0-9a-fA-F]+" + node)},
        {"relx_longname", regex("longname[0-9a-fA-F]+" + node)},
        {"nodetool", regex(".*_maint_[0-9]+")},
        {"ejabberdctl", regex("[0-9a-fA-F]{3}-((ctl|debug|etop|ping|top)" + node + "|ping)")},
        {"rabbitmq_cli", regex("rabbitmqcli-[0-9]+" + node)},
        {"rabbitmq_prelaunch", regex(".*_prelaunch_[0-9]+")},
        {"peer", regex("peer-[0-9]+-[0-9]+")},
        {"common_test", regex(".*_SUITE(-.*)?-[0-9]+-[0-9]+")},
    };
  }();
  return all;
}

std::string_view digits_at_end(std::string_view name) { return name.substr(name.find_last_not_of("0123456789") + 1); }

// Returns nullopt for a number above 65535.
std::optional<unsigned> port_of(std::string_view digits) {
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
  if (digits.size() > 5) {
    return std::nullopt;
  }
  const auto number = digits.empty() ? 0UL : std::stoul(std::string{digits});
  return number <= 65535 ? std::optional{static_cast<unsigned>(number)} : std::nullopt;
}

std::optional<std::string> helper_of(const std::string& name, const HelperRule& helpers) {
  for (const auto& [built_in, regex] : built_ins()) {
    if (std::regex_match(name, regex)) {
      return built_in;
    }
  }
  for (const auto& pattern : helpers.patterns) {
    if (caravan::fuzz::expected_match(pattern.text(), name)) {
      return std::string{pattern.text()};
    }
  }
  return std::nullopt;
}

unsigned helper_port(const std::string& name, const PortRule& rule) {
  std::uint64_t hash = 2166136261;
  for (const char c : name) {
    hash = ((hash ^ static_cast<unsigned char>(c)) * 16777619) % (std::uint64_t{1} << 32U);
  }
  const std::uint64_t ports = rule.helpers.last - rule.helpers.first + 1U;
  const auto digits = digits_at_end(name);
  const auto own = digits.empty() ? std::nullopt : port_of(digits);
  while (true) {
    const auto port = static_cast<unsigned>(rule.helpers.first + hash % ports);
    if (port != rule.default_port && port != own) {
      return port;
    }
    hash = hash % ports + 1;
  }
}

bool is_valid(std::string_view name) {
  return !name.empty() && name.size() <= 255 &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") ==
             std::string::npos;
}

struct Expected {
  unsigned port;
  PortOrigin origin;
  std::string pattern;
};

Expected expected(std::string_view text, const PortRule& rule) {
  if (text.size() > 4 * 255) {
    return {rule.default_port, PortOrigin::kNoDigits, {}};
  }
  const std::string name{text.substr(0, text.find('@'))};
  if (is_valid(name)) {
    if (const auto pattern = helper_of(name, rule.helpers)) {
      return {helper_port(name, rule), PortOrigin::kHelper, *pattern};
    }
  }
  const auto digits = digits_at_end(name);
  const bool after_dash = digits.size() < name.size() && name[name.size() - digits.size() - 1] == '-';
  if (digits.empty() || rule.port_in_name == PortInName::kNone ||
      (rule.port_in_name == PortInName::kDash && !after_dash)) {
    return {rule.default_port, PortOrigin::kNoDigits, {}};
  }
  const auto port = port_of(digits);
  if (!port || *port < rule.first || *port > rule.last) {
    return {rule.default_port, PortOrigin::kDigitsIgnored, {}};
  }
  return {*port, PortOrigin::kName, {}};
}

void check(std::string_view text, const PortRule& rule) {
  const auto choice = caravan::choose_port(text, rule);
  const auto wanted = expected(text, rule);
  require(choice.origin == wanted.origin);
  require(choice.port == wanted.port);
  require(choice.pattern == wanted.pattern);
}

PortRule rule_of(Input& input) {
  PortRule rule{input.u16(), input.u16(), input.u16(), {}};
  // At least three ports, as caravan_config requires.
  rule.helpers.first = std::min<std::uint16_t>(input.u16(), 65533);
  rule.helpers.last = std::max(input.u16(), static_cast<std::uint16_t>(rule.helpers.first + 2));
  rule.port_in_name = static_cast<PortInName>(input.below(3));
  for (auto patterns = input.below(4); patterns > 0; --patterns) {
    if (auto pattern = HelperPattern::parse(input.line())) {
      rule.helpers.patterns.push_back(std::move(*pattern));
    }
  }
  return rule;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input{data, size};
  const auto rule = rule_of(input);
  const auto text = input.view();
  check(text, rule);
  // The host does not change the port of a valid name.
  const std::string name{text.substr(0, std::min<std::size_t>(text.find('@'), 255))};
  const auto alone = caravan::choose_port(name, rule);
  for (const auto* host : {"@host", "@127.0.0.1", "@a-4370.example", "@@1"}) {
    const auto there = caravan::choose_port(name + host, rule);
    require(there.port == alone.port && there.origin == alone.origin && there.pattern == alone.pattern);
  }
  return 0;
}
