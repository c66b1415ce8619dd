#include "core/resolver/socket_functions.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "core/resolver/socket_set.hpp"

namespace caravan::socket_functions {

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

int connect(ares_socket_t fd, const sockaddr* address, ares_socklen_t size, void* /*data*/) noexcept {
  return ::connect(fd, address, size);
}

ares_ssize_t send(ares_socket_t fd, const iovec* parts, int count, void* /*data*/) noexcept {
  msghdr message{};
  // sendmsg(2) reads it only.
  message.msg_iov = const_cast<iovec*>(parts);  // NOLINT(cppcoreguidelines-pro-type-const-cast)
  message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(count);
  return ::sendmsg(fd, &message, MSG_NOSIGNAL);
}

}  // namespace caravan::socket_functions
