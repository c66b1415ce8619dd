#include "core/wire/ip_address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

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

std::optional<Nameserver> with_port(std::string_view address, std::string_view port_text) {
  const auto parsed = parse_ip_address(address);
  const auto port = parse_port(port_text);
  if (!parsed || !port) {
    return std::nullopt;
  }
  return Nameserver{*parsed, *port};
}

}  // namespace

std::string Nameserver::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(to_af(address.family), address.bytes.data(), text.data(), text.size());
  const std::string host{text.data()};
  return (address.family == Family::kInet ? host : '[' + host + ']') + ':' + std::to_string(port);
}

std::optional<IpAddress> parse_ip_address(std::string_view text) {
  // inet_pton(3) reads up to the first NUL.
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
  if (text.size() > INET6_ADDRSTRLEN + std::string_view{"[]:65535"}.size()) {
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
      return with_port(address, "53");
    }
    return rest.front() == ':' ? with_port(address, rest.substr(1)) : std::nullopt;
  }
  const auto colon = text.find(':');
  if (colon != std::string_view::npos && text.find(':', colon + 1) == std::string_view::npos) {
    return with_port(text.substr(0, colon), text.substr(colon + 1));
  }
  if (const auto address = parse_ip_address(text)) {
    return Nameserver{*address};
  }
  return std::nullopt;
}

}  // namespace caravan
