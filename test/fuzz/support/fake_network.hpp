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

// How a nameserver behaves over one transport.
enum class Manners : std::uint8_t {
  kAccepts,
  kRefuses,  // at once
  kHangs,    // neither accepts nor refuses a connection
  kFails,    // each write returns an error
};

// Simulates sockets that lead to nameservers in this process, and a clock that only advance() moves. While an object
// exists, the core uses it in place of the kernel: the linker redirects socket(2), poll(2) and so on (--wrap). One
// thread uses it at a time.
class FakeNetwork {
 public:
  // Decides what happens on the network.
  class Peers {
   public:
    virtual ~Peers() = default;
    // Called when a nameserver has received a whole message.
    virtual void on_question(int fd, std::span<const std::uint8_t> message) = 0;
    // Called when the resolver waits for `timeout` milliseconds; -1 is without a limit. Returns false if from now on
    // only other threads can wake it.
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
    bool is_closed_by_peer = false;  // what has been received can still be read
    std::size_t unanswered = 0;      // over UDP
    std::deque<Octets> datagrams;    // not read yet
    Octets stream;                   // not read yet, over TCP
    Octets written;                  // over TCP: the beginning of a message
  };

  explicit FakeNetwork(Peers& peers);
  ~FakeNetwork();
  FakeNetwork(const FakeNetwork&) = delete;
  FakeNetwork& operator=(const FakeNetwork&) = delete;

  Manners& manners(std::size_t server, bool tcp) noexcept { return manners_[server][tcp ? 1 : 0]; }
  void set_descriptors_left(bool left) noexcept { descriptors_left_ = left; }
  void advance(std::chrono::milliseconds by) noexcept { now_ += by; }
  std::chrono::steady_clock::time_point now() const noexcept { return now_; }

  // Establishes the connections that hang.
  void connect_all() noexcept;
  std::map<int, Socket>& sockets() noexcept { return sockets_; }
  // Sends a message from the nameserver. Over TCP, adds its length.
  void send(int fd, std::span<const std::uint8_t> message);
  // Sends octets unchanged.
  void send_raw(int fd, std::span<const std::uint8_t> octets);

  // The functions that the core calls.
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
  // Not zero, which the core uses for "never".
  std::chrono::steady_clock::time_point now_{std::chrono::seconds{1}};
  std::array<std::array<Manners, 2>, kServers> manners_{};
  bool descriptors_left_ = true;
  int next_fd_;
  std::map<int, Socket> sockets_;
};

}  // namespace caravan::fuzz
