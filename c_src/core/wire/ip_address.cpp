#include "core/wire/ip_address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>

namespace caravan {
namespace {

constexpr int to_af(Family family) noexcept { return family == Family::kInet ? AF_INET : AF_INET6; }

std::optional<std::uint16_t> parse_port(std::string_view text) noexcept {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0) {
    return std::nullopt;
  }
  return port;
}

bool is_scope(std::string_view text) noexcept {
  return !text.empty() && text.size() < Scope{}.size() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~' && c != '%' && c != '/'; });
}

// Parses an address, with a scope if it is an IPv6 address.
std::optional<Nameserver> with_port(std::string_view host, std::uint16_t port) {
  const auto percent = host.find('%');
  const auto address = parse_ip_address(host.substr(0, percent));
  if (!address) {
    return std::nullopt;
  }
  Nameserver nameserver{*address, port};
  if (percent != std::string_view::npos) {
    const auto scope = host.substr(percent + 1);
    if (address->family != Family::kInet6 || !is_scope(scope)) {
      return std::nullopt;
    }
    scope.copy(nameserver.scope.data(), scope.size());
  }
  return nameserver;
}

std::optional<Nameserver> with_port(std::string_view host, std::string_view port_text) {
  const auto port = parse_port(port_text);
  return port ? with_port(host, *port) : std::nullopt;
}

constexpr std::uint16_t kStandardPort = 53;

}  // namespace

std::string Nameserver::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(to_af(address.family), address.bytes.data(), text.data(), text.size());
  const std::string host{text.data()};
  return (address.family == Family::kInet ? host : '[' + host + ']') + ':' + std::to_string(port);
}

std::optional<IpAddress> parse_ip_address(std::string_view text) {
  // inet_pton(3) would accept text that has a NUL after an address.
  if (text.size() >= INET6_ADDRSTRLEN || text.find('\0') != std::string_view::npos) {
    return std::nullopt;
  }
  const std::string terminated{text};
  IpAddress address;
  address.family = text.find(':') == std::string_view::npos ? Family::kInet : Family::kInet6;
  if (::inet_pton(to_af(address.family), terminated.c_str(), address.bytes.data()) != 1) {
    return std::nullopt;
  }
  return address;
}

std::optional<Nameserver> parse_nameserver(std::string_view text) {
  if (text.size() > INET6_ADDRSTRLEN + Scope{}.size() + std::string_view{"[%]:65535"}.size()) {
    return std::nullopt;
  }
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) {
      return std::nullopt;
    }
    const auto address = text.substr(1, close - 1);
    const auto rest = text.substr(close + 1);
    if (rest.empty()) {
      return with_port(address, kStandardPort);
    }
    return rest.front() == ':' ? with_port(address, rest.substr(1)) : std::nullopt;
  }
  const auto colon = text.find(':');
  if (colon != std::string_view::npos && text.find(':', colon + 1) == std::string_view::npos) {
    return with_port(text.substr(0, colon), text.substr(colon + 1));
  }
  return with_port(text, kStandardPort);
}

}  // namespace caravan
