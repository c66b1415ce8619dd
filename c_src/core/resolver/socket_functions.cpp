#include "core/resolver/socket_functions.hpp"

#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>

#include "core/resolver/socket_set.hpp"

namespace caravan::socket_functions {
namespace {

// Returns the index of an interface, or 0 if there is no such interface. Not cached, because an interface that is
// created again has another index.
unsigned index_of(const Scope& scope) noexcept {
  const std::string_view name{scope.data()};
  unsigned index = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
  const bool is_number = error == std::errc{} && end == name.data() + name.size();
  return is_number ? index : ::if_nametoindex(scope.data());
}

}  // namespace

ares_socket_t open(int domain, int type, int protocol, void* /*data*/) noexcept {
  Fd fd{::socket(domain, type, protocol)};
  if (fd.get() < 0 || !set_descriptor_flags(fd.get())) {
    return ARES_SOCKET_BAD;
  }
  const int on = 1;
  if (type == SOCK_STREAM && ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
    return ARES_SOCKET_BAD;
  }
  return fd.release();
}

int connect(ares_socket_t fd, const sockaddr* address, ares_socklen_t size, const Scope& scope) noexcept {
  if (scope.front() == '\0' || address->sa_family != AF_INET6 || size < sizeof(sockaddr_in6)) {
    return ::connect(fd, address, size);
  }
  sockaddr_in6 scoped{};
  std::memcpy(&scoped, address, sizeof scoped);
  scoped.sin6_scope_id = index_of(scope);
  if (scoped.sin6_scope_id == 0) {
    errno = ENODEV;
    return -1;
  }
  return ::connect(fd, reinterpret_cast<const sockaddr*>(&scoped), sizeof scoped);
}

ares_ssize_t send(ares_socket_t fd, const iovec* parts, int count, void* /*data*/) noexcept {
  msghdr message{};
  // sendmsg(2) does not write to it.
  message.msg_iov = const_cast<iovec*>(parts);  // NOLINT(cppcoreguidelines-pro-type-const-cast)
  message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(count);
  return ::sendmsg(fd, &message, MSG_NOSIGNAL);
}

}  // namespace caravan::socket_functions
