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

// Where a nameserver listens.
struct Nameserver {
  IpAddress address;
  std::uint16_t port = 53;

  auto operator<=>(const Nameserver&) const = default;

  // "127.0.0.1:8600" or "[::1]:8600", as ares_set_servers_ports_csv reads it.
  std::string to_string() const;
};

using Nameservers = std::vector<Nameserver>;

std::optional<IpAddress> parse_ip_address(std::string_view text);

// "127.0.0.1", "127.0.0.1:8600", "::1" or "[::1]:8600"; the port defaults to 53.
std::optional<Nameserver> parse_nameserver(std::string_view text);

}  // namespace caravan
