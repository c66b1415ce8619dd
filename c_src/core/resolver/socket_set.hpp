#pragma once

#include <poll.h>

#include <chrono>
#include <optional>
#include <vector>

namespace caravan {

class Channel;

// Owns a file descriptor.
class Fd {
 public:
  explicit Fd(int fd = -1) noexcept : fd_{fd} {}
  ~Fd();
  Fd(Fd&& other) noexcept : fd_{other.release()} {}
  Fd& operator=(Fd&& other) noexcept;
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;

  int get() const noexcept { return fd_; }
  int release() noexcept;

 private:
  int fd_;
};

// Not to block, and not to be had by programs that the VM starts. False with errno if that is refused.
bool set_descriptor_flags(int fd) noexcept;

// Ends another thread's wait. A pipe, not an eventfd: one path on every Unix.
class WakePipe {
 public:
  // Throws std::system_error when there are no descriptors left.
  WakePipe();

  int read_end() const noexcept { return read_.get(); }
  void wake() noexcept;
  void drain() noexcept;

 private:
  Fd read_;
  Fd write_;
};

// The sockets that c-ares wants watched, kept for poll(2): select(2) knows no descriptor above 1023, and a VM has more.
// Owned by one thread.
class SocketSet {
 public:
  struct Ready {
    Channel* channel;
    int fd;
    bool readable;
    bool writable;
  };

  explicit SocketSet(int wake_fd);

  // c-ares' socket state callback; with neither flag set the descriptor is about to be closed.
  void watch(Channel& channel, int fd, bool readable, bool writable);

  // Waits until a socket is ready, the wake descriptor is, or `timeout` (nothing: for ever) has passed. The result is
  // valid until the next call.
  const std::vector<Ready>& wait(std::optional<std::chrono::milliseconds> timeout);

  // Whether the wake descriptor was ready at the last wait.
  bool is_woken() const noexcept { return fds_.front().revents != 0; }

 private:
  std::vector<pollfd> fds_;         // the first one is the wake descriptor
  std::vector<Channel*> channels_;  // parallel to fds_
  std::vector<Ready> ready_;
};

}  // namespace caravan
