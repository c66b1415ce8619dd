#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace caravan {

enum class Family : std::uint8_t { kInet, kInet6 };

// An IPv4 or IPv6 address in network byte order. An IPv4 address takes the first four bytes.
struct IpAddress {
  Family family = Family::kInet;
  std::array<std::uint8_t, 16> bytes{};

  auto operator<=>(const IpAddress&) const = default;

  constexpr std::size_t size() const noexcept { return family == Family::kInet ? 4 : 16; }
};

// The zone of a link-local IPv6 address: the name or the number of a network interface (RFC 4007, section 11), padded
// with NULs to the size of an interface's name (IFNAMSIZ). Empty if the address has no zone.
using Scope = std::array<char, 16>;

// The address and port of a nameserver.
struct Nameserver {
  IpAddress address;
  std::uint16_t port = 53;
  Scope scope{};

  auto operator<=>(const Nameserver&) const = default;

  // Returns "127.0.0.1:8600" or "[::1]:8600", the form that ares_set_servers_ports_csv(3) reads. Omits the scope.
  std::string to_string() const;
};

using Nameservers = std::vector<Nameserver>;

// A lookup asks at most this number of nameservers.
inline constexpr std::size_t kMaxNameservers = 16;

std::optional<IpAddress> parse_ip_address(std::string_view text);

// Parses "127.0.0.1", "127.0.0.1:8600", "::1", "[::1]:8600", "fe80::1%eth0" or "[fe80::1%eth0]:8600". The port defaults
// to 53. Returns nullopt for any other text and for port 0.
std::optional<Nameserver> parse_nameserver(std::string_view text);

}  // namespace caravan
