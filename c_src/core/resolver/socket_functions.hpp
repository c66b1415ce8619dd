#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include "core/system/cares.hpp"
#include "core/wire/ip_address.hpp"

// The socket functions of a channel that reads through Incoming. c-ares 1.18 accepts only a full set of them. They have
// the signatures that ares_set_socket_functions() expects, except for connect(), which takes the zone.
namespace caravan::socket_functions {

// Opens a non-blocking socket. Over TCP, turns Nagle's algorithm off, which would delay a question while another one is
// unacknowledged.
ares_socket_t open(int domain, int type, int protocol, void* data) noexcept;
// Connects to an IPv6 address through the interface of `scope`, if that is not empty: c-ares 1.18 does not support
// zones. Sets errno to ENODEV if there is no such interface.
int connect(ares_socket_t fd, const sockaddr* address, ares_socklen_t size, const Scope& scope) noexcept;
// Never raises SIGPIPE.
ares_ssize_t send(ares_socket_t fd, const iovec* parts, int count, void* data) noexcept;

}  // namespace caravan::socket_functions
