#include "core/name/helper_name.hpp"

#include <utility>

#include "core/name/name_text.hpp"

namespace caravan {
namespace {

constexpr std::string_view kNumber = "{number}";

// Returns `text` without `prefix`, or nullopt if it does not begin with it.
constexpr std::optional<std::string_view> after(std::string_view text, std::string_view prefix) noexcept {
  if (!text.starts_with(prefix)) {
    return std::nullopt;
  }
  return text.substr(prefix.size());
}

// A helper of these tools carries the name of a node, not just its port: `rpc-2024-4370` is an ordinary node.
constexpr bool is_dash_then_name(std::string_view text) noexcept {
  return text.size() > 1 && text.front() == '-' && leading(text.substr(1), is_digit) < text.size() - 1;
}

// Matches `<word><pid of the operating system>` at the end of `name`.
constexpr bool ends_in_word_and_number(std::string_view name, std::string_view word) noexcept {
  const auto digits = trailing_digits(name);
  return !digits.empty() && name.substr(0, name.size() - digits.size()).ends_with(word);
}

// Returns `name` without the end `-<n>-<pid of the operating system>` that peer:random_name/1 gives it.
constexpr std::optional<std::string_view> without_random_end(std::string_view name) noexcept {
  for (int i = 0; i < 2; ++i) {
    const auto digits = trailing_digits(name);
    name.remove_suffix(digits.size());
    if (digits.empty() || !name.ends_with('-')) {
      return std::nullopt;
    }
    name.remove_suffix(1);
  }
  return name;
}

// Matches the 16 random bits of a Mix release and the node's name. The Unix script writes the bits as four lower-case
// hexadecimal digits, the Windows script as one to five decimal digits (%RANDOM%).
constexpr bool is_random_then_name(std::string_view text) noexcept {
  const auto hex = leading(text, is_lower_hex);
  const auto decimal = leading(text, is_digit);
  return (hex == 4 && is_dash_then_name(text.substr(hex))) ||
         (decimal >= 1 && decimal <= 5 && is_dash_then_name(text.substr(decimal)));
}

constexpr bool is_mix(std::string_view name, std::string_view prefix) noexcept {
  const auto rest = after(name, prefix);
  return rest && is_random_then_name(*rest);
}

constexpr bool is_relx(std::string_view name, std::string_view prefix) noexcept {
  const auto rest = after(name, prefix);
  const auto hex = rest ? leading(*rest, is_hex) : 0;
  return hex >= 1 && is_dash_then_name(rest->substr(hex));
}

// ejabberdctl up to 23.10 begins the name with the first three digits of a UUID and the command. The node's name
// follows, except with `ping`, which may stand alone.
constexpr bool is_ejabberdctl(std::string_view name) noexcept {
  if (leading(name.substr(0, 3), is_hex) != 3) {
    return false;
  }
  name.remove_prefix(3);
  for (const std::string_view command : {"-ctl", "-debug", "-etop", "-ping", "-top"}) {
    if (const auto rest = after(name, command)) {
      return is_dash_then_name(*rest) || (rest->empty() && command == "-ping");
    }
  }
  return false;
}

// Matches `rabbitmqcli-<n>-NODE`. With RABBITMQ_CTL_UNIQUE_NODE_NAME (RabbitMQ 4.3), <n> is the pid followed by another
// number.
constexpr bool is_rabbitmq_cli(std::string_view name) noexcept {
  const auto rest = after(name, "rabbitmqcli-");
  const auto digits = rest ? leading(*rest, is_digit) : 0;
  return digits >= 1 && is_dash_then_name(rest->substr(digits));
}

// Matches the names that ?CT_PEER() makes with peer:random_name/1 from the suite and the case, or from the suite alone.
constexpr bool is_common_test(std::string_view name) noexcept {
  const auto rest = without_random_end(name);
  return rest && (rest->ends_with("_SUITE") || rest->find("_SUITE-") != std::string_view::npos);
}

struct BuiltIn {
  std::string_view name;
  bool (*matches)(std::string_view) noexcept;
};

// An entry may be added in a major version only, since a name that becomes a helper's gets another port. No entry is
// ever removed.
constexpr BuiltIn kBuiltIns[] = {
    {"mix_remote", [](std::string_view name) noexcept { return is_mix(name, "rem-"); }},
    {"mix_rpc", [](std::string_view name) noexcept { return is_mix(name, "rpc-"); }},
    {"relx_maint", [](std::string_view name) noexcept { return is_relx(name, "maint"); }},
    {"relx_remsh", [](std::string_view name) noexcept { return is_relx(name, "remsh"); }},
    {"relx_longname", [](std::string_view name) noexcept { return is_relx(name, "longname"); }},
    {"nodetool", [](std::string_view name) noexcept { return ends_in_word_and_number(name, "_maint_"); }},
    {"ejabberdctl", is_ejabberdctl},
    {"rabbitmq_cli", is_rabbitmq_cli},
    {"rabbitmq_prelaunch", [](std::string_view name) noexcept { return ends_in_word_and_number(name, "_prelaunch_"); }},
    {"peer", [](std::string_view name) noexcept { return without_random_end(name) == "peer"; }},
    {"common_test", is_common_test},
};

}  // namespace

std::optional<HelperPattern> HelperPattern::parse(std::string_view text) {
  if (text.size() > kMaxBytes) {
    return std::nullopt;
  }
  HelperPattern pattern;
  pattern.text_ = text;
  while (!text.empty()) {
    if (!pattern.add(text)) {
      return std::nullopt;
    }
  }
  const bool only_numbers = pattern.size_ == 0 || pattern.numbers_ == (~Pieces{0} >> (kMaxBytes - pattern.size_));
  return only_numbers ? std::nullopt : std::optional{std::move(pattern)};
}

// Adds the piece or the star at the beginning of `rest`, and removes it from `rest`. Returns false if the pattern is
// invalid.
bool HelperPattern::add(std::string_view& rest) {
  if (const auto behind = after(rest, kNumber)) {
    rest = *behind;
    return add_number();
  }
  const char c = rest.front();
  rest.remove_prefix(1);
  if (c == '*') {
    add_star();
    return true;
  }
  return add_literal(c);
}

bool HelperPattern::add_literal(char c) {
  if (!is_name_character(c) || (is_digit(c) && (numbers_ & last_piece()) != 0)) {
    return false;
  }
  literals_[static_cast<unsigned char>(c)] |= Pieces{1} << size_;
  ++size_;
  return true;
}

bool HelperPattern::add_number() {
  auto with_digits = numbers_;
  for (char c = '0'; c <= '9'; ++c) {
    with_digits |= literals_[static_cast<unsigned char>(c)];
  }
  if ((with_digits & last_piece()) != 0) {
    return false;
  }
  numbers_ |= Pieces{1} << size_;
  ++size_;
  return true;
}

void HelperPattern::add_star() noexcept {
  if (size_ == 0) {
    star_first_ = true;
  } else {
    starred_ |= last_piece();
  }
}

// Bit-parallel matching (shift-and): `reached` holds the pieces that the last character can be the end of. `{number}`
// may take fewer digits than there are in a row here. That matches the same names as if it took all: parse() ensures
// that its neighbour is no digit, or a `*`, which can leave all digits to the number.
bool HelperPattern::matches(std::string_view name) const noexcept {
  Pieces reached = 0;
  bool can_begin = true;
  for (const char c : name) {
    if (!is_name_character(c)) {
      return false;
    }
    const auto next = reached << 1 | static_cast<Pieces>(can_begin);
    const auto numbers = is_digit(c) ? numbers_ : 0;
    reached = (next & (literals_[static_cast<unsigned char>(c)] | numbers)) | (reached & (starred_ | numbers));
    can_begin = star_first_;
  }
  return (reached & last_piece()) != 0;
}

std::uint16_t helper_port(std::string_view name, const HelperRule& rule, std::uint16_t default_port) noexcept {
  const auto ports = std::uint32_t{rule.last} - rule.first + 1;
  const auto digits = trailing_digits(name);
  const auto number = digits.empty() ? std::nullopt : port_number(digits);
  auto offset = fnv1a(name) % ports;
  auto port = static_cast<std::uint16_t>(rule.first + offset);
  for (std::size_t skipped = 0; skipped < HelperRule::kMinPorts && (port == default_port || port == number);
       ++skipped) {
    offset = (offset + 1) % ports;
    port = static_cast<std::uint16_t>(rule.first + offset);
  }
  return port;
}

std::optional<std::string_view> helper_pattern(std::string_view name, const HelperRule& rule) noexcept {
  for (const auto& built_in : kBuiltIns) {
    if (built_in.matches(name)) {
      return built_in.name;
    }
  }
  for (const auto& pattern : rule.patterns) {
    if (pattern.matches(name)) {
      return pattern.text();
    }
  }
  return std::nullopt;
}

}  // namespace caravan
