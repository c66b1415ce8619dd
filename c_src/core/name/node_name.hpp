#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/name/helper_name.hpp"

namespace caravan {

enum class PortInName : std::uint8_t {
  kDigits,  // all digits at the end of the name
  kDash,    // digits that are a whole segment after a '-': `app-4370`, not `app4370` or `app-ab4370`
  kNone,    // no digits
};

// How the port of a node follows from its name, here the part before the '@'. A helper's port follows from `helpers`.
// Any other name has the number at its end, if `port_in_name` lets it count and it is in [first, last]; otherwise it
// has `default_port`.
struct PortRule {
  std::uint16_t default_port = 4370;
  std::uint16_t first = 1024;
  std::uint16_t last = 65535;
  PortInName port_in_name = PortInName::kDigits;
  HelperRule helpers{};
};

enum class PortOrigin : std::uint8_t {
  kName,           // the number at the end of the name
  kNoDigits,       // default_port, because the name does not end in digits that count
  kDigitsIgnored,  // default_port, because the number at the end is outside [first, last]
  kHelper,         // the hash of a helper's name
};

struct PortChoice {
  std::uint16_t port;
  PortOrigin origin;
  std::string_view pattern{};  // the pattern that a helper's name matches; lives as long as the rule
};

// The size of the longest text that choose_port() examines, in bytes: an atom has at most 255 characters of up to four
// bytes. A longer text is no node name, and gets the default port.
inline constexpr std::size_t kMaxNodeNameBytes = 1020;

// Returns the port of `node_name` and why it has that port. Accepts any bytes in any encoding, and allocates no memory.
// A part before the '@' that is no valid basename is never a helper's name.
PortChoice choose_port(std::string_view node_name, const PortRule& rule) noexcept;

// Returns whether `text` may stand before the '@' of a node name, as net_kernel:valid_name_head decides.
bool is_valid_basename(std::string_view text) noexcept;

// Returns the node name in its canonical form: the host in lower case and without a trailing dot. Returns nullopt if
// the part before the '@' is no valid basename, if the host is neither a DNS name nor an IP address, or if the result
// does not fit into an atom.
std::optional<std::string> normalize_node_name(std::string_view text);

}  // namespace caravan
