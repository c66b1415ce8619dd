#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include "core/system/cares.hpp"
#include "core/wire/ip_address.hpp"

// What c-ares does with the sockets of a channel that reads through code of ours: 1.18 wants either all functions for
// sockets or none. Each has about the form that ares_set_socket_functions() asks for.
namespace caravan::socket_functions {

// One that does not block, and over TCP does not hold a question back until another one comes.
ares_socket_t open(int domain, int type, int protocol, void* data) noexcept;
// An address of IPv6 is reached through the interface, if there is one: c-ares of 1.18 knows of none.
int connect(ares_socket_t fd, const sockaddr* address, ares_socklen_t size, const Scope& scope) noexcept;
// Never raises SIGPIPE.
ares_ssize_t send(ares_socket_t fd, const iovec* parts, int count, void* data) noexcept;

}  // namespace caravan::socket_functions
