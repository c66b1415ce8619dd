#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <vector>

namespace caravan::fuzz {

using Octets = std::vector<std::uint8_t>;

// How a nameserver takes what comes over a transport.
enum class Manners : std::uint8_t {
  kAccepts,
  kRefuses,  // at once
  kHangs,    // a connection is neither made nor refused
  kFails,    // what is sent comes back as an error
};

// Sockets that lead to nameservers in this process, and a clock that moves when it is told to. As long as one is in
// force, the core gets it in place of the kernel's: the linker gives the core our socket(2), poll(2) and so on
// (--wrap). One thread uses it at a time.
class FakeNetwork {
 public:
  // Who decides what happens.
  class Peers {
   public:
    virtual ~Peers() = default;
    // A whole message has come to a nameserver.
    virtual void on_question(int fd, std::span<const std::uint8_t> message) = 0;
    // The resolver waits, for so many milliseconds (-1: for ever). Returns false when nothing will happen any more but
    // what another thread does.
    virtual bool on_wait(int timeout) = 0;
  };

  static constexpr std::size_t kServers = 3;
  // Nameserver n has the port kFirstPort + n.
  static constexpr std::uint16_t kFirstPort = 5301;

  struct Socket {
    bool tcp = false;
    std::size_t server = 0;
    bool is_connected = false;
    bool is_broken = false;          // reading and writing fail
    bool is_closed_by_peer = false;  // what has come can be read
    std::size_t unanswered = 0;      // over UDP
    std::deque<Octets> datagrams;    // that wait to be read
    Octets stream;                   // likewise, over TCP
    Octets written;                  // over TCP: a message that is not whole yet
  };

  explicit FakeNetwork(Peers& peers);
  ~FakeNetwork();
  FakeNetwork(const FakeNetwork&) = delete;
  FakeNetwork& operator=(const FakeNetwork&) = delete;

  Manners& manners(std::size_t server, bool tcp) noexcept { return manners_[server][tcp ? 1 : 0]; }
  void set_descriptors_left(bool left) noexcept { descriptors_left_ = left; }
  void advance(std::chrono::milliseconds by) noexcept { now_ += by; }
  std::chrono::steady_clock::time_point now() const noexcept { return now_; }

  // Connections that hang are made now.
  void connect_all() noexcept;
  std::map<int, Socket>& sockets() noexcept { return sockets_; }
  // What the nameserver says. Over TCP, `message` goes behind its length.
  void send(int fd, std::span<const std::uint8_t> message);
  // Octets as they are.
  void send_raw(int fd, std::span<const std::uint8_t> octets);

  // What the core calls.
  int open(int type);
  int connect(int fd, const sockaddr* address);
  ssize_t write(int fd, const msghdr& message);
  ssize_t read(int fd, std::span<std::uint8_t> to, sockaddr* from, socklen_t* from_size);
  int close(int fd);
  int poll(std::span<pollfd> fds, int timeout);

 private:
  static bool is_readable(const Socket& socket) noexcept;
  void take_messages(int fd);

  Peers& peers_;
  // The core takes zero for no time.
  std::chrono::steady_clock::time_point now_{std::chrono::seconds{1}};
  std::array<std::array<Manners, 2>, kServers> manners_{};
  bool descriptors_left_ = true;
  int next_fd_;
  std::map<int, Socket> sockets_;
};

}  // namespace caravan::fuzz
