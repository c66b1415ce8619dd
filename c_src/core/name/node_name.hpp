#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/name/helper_name.hpp"

namespace caravan {

enum class PortInName : std::uint8_t {
  kDigits,  // the digits at the end
  kDash,    // those that are a whole segment after a '-': `app-4370`, not `app4370` or `app-ab4370`
  kNone,    // digits never count
};

// How the port of a node follows from its name, as the part before the '@' is called here: that of a helper is in
// `helpers`. Otherwise it is the number at the end, as far as port_in_name lets digits count, if it is in [first,
// last], and default_port if there is none.
struct PortRule {
  std::uint16_t default_port = 4370;
  std::uint16_t first = 1024;
  std::uint16_t last = 65535;
  PortInName port_in_name = PortInName::kDigits;
  HelperRule helpers{};
};

enum class PortOrigin : std::uint8_t {
  kName,           // the trailing digits
  kNoDigits,       // default_port: the name does not end in digits that count
  kDigitsIgnored,  // default_port: the trailing digits are outside the range
  kHelper,         // the hash of the name
};

struct PortChoice {
  std::uint16_t port;
  PortOrigin origin;
  std::string_view pattern{};  // that a helper's name matches; it lives as long as the rule
};

// The longest name the rules look at, in bytes: an atom holds 255 characters of up to four bytes. A longer text is no
// node name and gets the default port.
inline constexpr std::size_t kMaxNodeNameBytes = 1020;

// Total over any bytes, in any encoding; allocates nothing. Only what is_valid_basename is a helper's name.
PortChoice choose_port(std::string_view node_name, const PortRule& rule) noexcept;

// Whether `text` may stand before the '@' of a node name (net_kernel:valid_name_head).
bool is_valid_basename(std::string_view text) noexcept;

// The node name as it is used, the host in lower case and without a trailing dot; nothing when the part before '@' is
// no basename, when the host is neither a DNS name nor an IP address, or when the whole would not fit into an atom.
std::optional<std::string> normalize_node_name(std::string_view text);

}  // namespace caravan
