#include "support/fake_network.hpp"

#include <fcntl.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <utility>

#include "support/require.hpp"

// The linker's --wrap defines the names of these functions and of those at the end of the file.
extern "C" {
int __real_socket(int domain, int type, int protocol);
int __real_connect(int fd, const sockaddr* address, socklen_t size);
int __real_fcntl(int fd, int command, ...);
int __real_setsockopt(int fd, int level, int name, const void* value, socklen_t size);
int __real_close(int fd);
ssize_t __real_sendmsg(int fd, const msghdr* message, int flags);
ssize_t __real_recvfrom(int fd, void* to, size_t size, int flags, sockaddr* from, socklen_t* from_size);
ssize_t __real_recv(int fd, void* to, size_t size, int flags);
int __real_poll(pollfd* fds, nfds_t count, int timeout);
decltype(__real_socket) __wrap_socket;
decltype(__real_connect) __wrap_connect;
decltype(__real_fcntl) __wrap_fcntl;
decltype(__real_setsockopt) __wrap_setsockopt;
decltype(__real_close) __wrap_close;
decltype(__real_sendmsg) __wrap_sendmsg;
decltype(__real_recvfrom) __wrap_recvfrom;
decltype(__real_recv) __wrap_recv;
decltype(__real_poll) __wrap_poll;
}

namespace caravan::fuzz {
namespace {

// Above the descriptors of the kernel.
constexpr int kFirstFd = 1 << 20;

constinit FakeNetwork* in_force = nullptr;

bool is_fake(int fd) noexcept { return in_force != nullptr && fd >= kFirstFd; }

int fail(int error) noexcept {
  errno = error;
  return -1;
}

}  // namespace

FakeNetwork::FakeNetwork(Peers& peers) : peers_{peers}, next_fd_{kFirstFd} { in_force = this; }

FakeNetwork::~FakeNetwork() { in_force = nullptr; }

int FakeNetwork::open(int type) {
  if (!descriptors_left_) {
    return fail(EMFILE);
  }
  sockets_[next_fd_].tcp = type == SOCK_STREAM;
  return next_fd_++;
}

int FakeNetwork::connect(int fd, const sockaddr* address) {
  sockaddr_in server{};
  require(address->sa_family == AF_INET);
  std::memcpy(&server, address, sizeof server);
  auto& socket = sockets_.at(fd);
  socket.server = static_cast<std::size_t>(ntohs(server.sin_port) - kFirstPort);
  require(socket.server < kServers);
  const auto manners = manners_[socket.server][socket.tcp ? 1 : 0];
  if (socket.tcp && manners == Manners::kRefuses) {
    return fail(ECONNREFUSED);
  }
  if (socket.tcp && manners == Manners::kHangs) {
    return fail(EINPROGRESS);
  }
  socket.is_connected = true;
  return 0;
}

void FakeNetwork::connect_all() noexcept {
  for (auto& [fd, socket] : sockets_) {
    socket.is_connected = true;
  }
}

ssize_t FakeNetwork::write(int fd, const msghdr& message) {
  auto& socket = sockets_.at(fd);
  const auto manners = manners_[socket.server][socket.tcp ? 1 : 0];
  if (socket.is_broken || manners == Manners::kFails || (!socket.tcp && manners == Manners::kRefuses)) {
    return fail(socket.tcp ? EPIPE : ECONNREFUSED);
  }
  if (!socket.is_connected) {
    return fail(EAGAIN);
  }
  const auto before = socket.written.size();
  for (const auto& part : std::span{message.msg_iov, message.msg_iovlen}) {
    const auto* octets = static_cast<const std::uint8_t*>(part.iov_base);
    socket.written.insert(socket.written.end(), octets, octets + part.iov_len);
  }
  const auto size = socket.written.size() - before;
  take_messages(fd);
  return static_cast<ssize_t>(size);
}

void FakeNetwork::take_messages(int fd) {
  auto& socket = sockets_.at(fd);
  if (!socket.tcp) {
    // The limit of ChannelPool::kQueriesPerPort, which README.md promises.
    constexpr std::size_t most_at_a_port = 24;
    require(++socket.unanswered <= most_at_a_port);
    const auto message = std::exchange(socket.written, {});
    peers_.on_question(fd, message);
    return;
  }
  while (socket.written.size() >= 2) {
    const auto size = static_cast<std::size_t>(socket.written[0] << 8 | socket.written[1]) + 2;
    if (socket.written.size() < size) {
      return;
    }
    const Octets message{socket.written.begin() + 2, socket.written.begin() + static_cast<std::ptrdiff_t>(size)};
    socket.written.erase(socket.written.begin(), socket.written.begin() + static_cast<std::ptrdiff_t>(size));
    peers_.on_question(fd, message);
  }
}

void FakeNetwork::send(int fd, std::span<const std::uint8_t> message) {
  auto& socket = sockets_.at(fd);
  if (!socket.tcp) {
    socket.unanswered -= std::min<std::size_t>(socket.unanswered, 1);
    send_raw(fd, message);
    return;
  }
  Octets framed{static_cast<std::uint8_t>(message.size() >> 8), static_cast<std::uint8_t>(message.size() & 0xFF)};
  framed.insert(framed.end(), message.begin(), message.end());
  send_raw(fd, framed);
}

void FakeNetwork::send_raw(int fd, std::span<const std::uint8_t> octets) {
  auto& socket = sockets_.at(fd);
  if (socket.tcp) {
    socket.stream.insert(socket.stream.end(), octets.begin(), octets.end());
  } else {
    socket.datagrams.emplace_back(octets.begin(), octets.end());
  }
}

ssize_t FakeNetwork::read(int fd, std::span<std::uint8_t> to, sockaddr* from, socklen_t* from_size) {
  auto& socket = sockets_.at(fd);
  Octets octets;
  if (!socket.datagrams.empty()) {
    octets = std::move(socket.datagrams.front());
    socket.datagrams.pop_front();
  } else if (!socket.stream.empty()) {
    octets = std::exchange(socket.stream, {});
  } else if (socket.is_broken) {
    return fail(socket.tcp ? ECONNRESET : ECONNREFUSED);
  } else {
    return socket.is_closed_by_peer ? 0 : fail(EAGAIN);
  }
  const auto size = std::min(to.size(), octets.size());
  std::copy_n(octets.begin(), size, to.begin());
  if (socket.tcp) {
    socket.stream.assign(octets.begin() + static_cast<std::ptrdiff_t>(size), octets.end());
  }
  if (from != nullptr) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(kFirstPort + socket.server));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    std::memcpy(from, &address, std::min<std::size_t>(*from_size, sizeof address));
    *from_size = sizeof address;
  }
  return static_cast<ssize_t>(size);
}

int FakeNetwork::close(int fd) {
  require(sockets_.erase(fd) == 1);
  return 0;
}

bool FakeNetwork::is_readable(const Socket& socket) noexcept {
  return !socket.datagrams.empty() || !socket.stream.empty() || socket.is_broken || socket.is_closed_by_peer;
}

int FakeNetwork::poll(std::span<pollfd> fds, int timeout) {
  const bool goes_on = peers_.on_wait(timeout);
  int ready = __real_poll(fds.data(), 1, goes_on ? 0 : -1);  // the pipe that wakes the thread
  for (auto& entry : fds.subspan(1)) {
    // Throws if the core watches a socket that it has closed.
    const auto& socket = sockets_.at(entry.fd);
    unsigned events = 0;
    events |= is_readable(socket) ? unsigned{POLLIN} : 0U;
    events |= socket.is_connected || socket.is_broken ? unsigned{POLLOUT} : 0U;
    events &= static_cast<unsigned>(entry.events);
    events |= socket.is_broken ? unsigned{POLLERR} : 0U;
    entry.revents = static_cast<short>(events);
    ready += events != 0 ? 1 : 0;
  }
  return ready;
}

// The symbols that --wrap derives from steady_clock::now(). They are no valid C++ names.
std::chrono::steady_clock::time_point real_now() noexcept __asm__("__real__ZNSt6chrono3_V212steady_clock3nowEv");
std::chrono::steady_clock::time_point wrapped_now() noexcept __asm__("__wrap__ZNSt6chrono3_V212steady_clock3nowEv");
std::chrono::steady_clock::time_point wrapped_now() noexcept {
  return in_force != nullptr ? in_force->now() : real_now();
}

}  // namespace caravan::fuzz

extern "C" {

using caravan::fuzz::in_force;
using caravan::fuzz::is_fake;

int __wrap_socket(int domain, int type, int protocol) {
  return in_force != nullptr ? in_force->open(type) : __real_socket(domain, type, protocol);
}
int __wrap_connect(int fd, const sockaddr* address, socklen_t size) {
  return is_fake(fd) ? in_force->connect(fd, address) : __real_connect(fd, address, size);
}
int __wrap_fcntl(int fd, int command, ...) {
  va_list rest;
  va_start(rest, command);
  const int argument = va_arg(rest, int);
  va_end(rest);
  return is_fake(fd) ? 0 : __real_fcntl(fd, command, argument);
}
int __wrap_setsockopt(int fd, int level, int name, const void* value, socklen_t size) {
  return is_fake(fd) ? 0 : __real_setsockopt(fd, level, name, value, size);
}
int __wrap_close(int fd) { return is_fake(fd) ? in_force->close(fd) : __real_close(fd); }
ssize_t __wrap_sendmsg(int fd, const msghdr* message, int flags) {
  return is_fake(fd) ? in_force->write(fd, *message) : __real_sendmsg(fd, message, flags);
}
ssize_t __wrap_recvfrom(int fd, void* to, size_t size, int flags, sockaddr* from, socklen_t* from_size) {
  return is_fake(fd) ? in_force->read(fd, {static_cast<std::uint8_t*>(to), size}, from, from_size)
                     : __real_recvfrom(fd, to, size, flags, from, from_size);
}
ssize_t __wrap_recv(int fd, void* to, size_t size, int flags) {
  return is_fake(fd) ? in_force->read(fd, {static_cast<std::uint8_t*>(to), size}, nullptr, nullptr)
                     : __real_recv(fd, to, size, flags);
}
int __wrap_poll(pollfd* fds, nfds_t count, int timeout) {
  return in_force != nullptr ? in_force->poll({fds, count}, timeout) : __real_poll(fds, count, timeout);
}
}
