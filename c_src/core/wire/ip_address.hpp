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

// An IPv4 or IPv6 address in network byte order; an IPv4 address fills the first four bytes.
struct IpAddress {
  Family family = Family::kInet;
  std::array<std::uint8_t, 16> bytes{};

  auto operator<=>(const IpAddress&) const = default;

  constexpr std::size_t size() const noexcept { return family == Family::kInet ? 4 : 16; }
};

// The network interface through which an IPv6 address is reached (RFC 4007, section 11), by its name or its number: as
// long as a system lets one be (IFNAMSIZ), with a NUL at its end. Empty: none.
using Scope = std::array<char, 16>;

// Where a nameserver listens.
struct Nameserver {
  IpAddress address;
  std::uint16_t port = 53;
  Scope scope{};

  auto operator<=>(const Nameserver&) const = default;

  // "127.0.0.1:8600" or "[::1]:8600", as ares_set_servers_ports_csv reads it: without the scope.
  std::string to_string() const;
};

using Nameservers = std::vector<Nameserver>;

// More are not asked.
inline constexpr std::size_t kMaxNameservers = 16;

std::optional<IpAddress> parse_ip_address(std::string_view text);

// "127.0.0.1", "127.0.0.1:8600", "::1", "[::1]:8600", "fe80::1%eth0" or "[fe80::1%eth0]:8600"; the port defaults to 53.
std::optional<Nameserver> parse_nameserver(std::string_view text);

}  // namespace caravan
