#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace caravan {

// How the port of a node follows from its name: the trailing decimal digits of the part before '@' when they form a
// number in [first, last], otherwise default_port.
struct PortRule {
  std::uint16_t default_port = 4370;
  std::uint16_t first = 1024;
  std::uint16_t last = 65535;
};

enum class PortOrigin : std::uint8_t {
  kName,           // the trailing digits
  kNoDigits,       // default_port: the name does not end in digits
  kDigitsIgnored,  // default_port: the trailing digits are outside the range
};

struct PortChoice {
  std::uint16_t port;
  PortOrigin origin;
};

// The longest name the rules look at, in bytes: an atom holds 255 characters of up to four bytes. A longer text is no
// node name and gets the default port.
inline constexpr std::size_t kMaxNodeNameBytes = 1020;

// Total over any bytes, in any encoding; allocates nothing.
PortChoice choose_port(std::string_view node_name, const PortRule& rule) noexcept;

// Whether the name is one that release scripts and OTP's `peer` give to short-lived helper nodes. Such a name carries
// the name of the node it talks to (`rem-1f3a-app-4370@host`), so its trailing digits are not its own port.
bool is_helper_name(std::string_view node_name) noexcept;

// Whether `text` may stand before the '@' of a node name (net_kernel:valid_name_head).
bool is_valid_basename(std::string_view text) noexcept;

// The node name as it is used, the host in lower case and without a trailing dot; nothing when the part before '@' is
// no basename, when the host is neither a DNS name nor an IP address, or when the whole would not fit into an atom.
std::optional<std::string> normalize_node_name(std::string_view text);

}  // namespace caravan
