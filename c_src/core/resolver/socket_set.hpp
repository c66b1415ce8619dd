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

// Makes a descriptor non-blocking, and closes it in programs that the VM starts. Returns false and sets errno on
// failure.
bool set_descriptor_flags(int fd) noexcept;

// Wakes a thread that waits in SocketSet::wait(). A pipe works on every Unix, unlike an eventfd.
class WakePipe {
 public:
  // Throws std::system_error if there are no descriptors left.
  WakePipe();

  int read_end() const noexcept { return read_.get(); }
  void wake() noexcept;
  void drain() noexcept;

 private:
  Fd read_;
  Fd write_;
};

// The sockets that c-ares wants to be watched, in the form for poll(2). select(2) is limited to descriptors below
// 1,024, and a VM has more. One thread owns it.
class SocketSet {
 public:
  struct Ready {
    Channel* channel;
    int fd;
    bool readable;
    bool writable;
  };

  explicit SocketSet(int wake_fd);

  // Called from c-ares' socket state callback. If both flags are false, the descriptor is about to be closed.
  void watch(Channel& channel, int fd, bool readable, bool writable);

  // Waits until a socket or the wake descriptor is ready, or until `timeout` has passed; nullopt waits without a limit.
  // The result is valid until the next call.
  const std::vector<Ready>& wait(std::optional<std::chrono::milliseconds> timeout);

  // Returns whether the wake descriptor was ready at the last wait.
  bool is_woken() const noexcept { return fds_.front().revents != 0; }

 private:
  std::vector<pollfd> fds_;         // the first one is the wake descriptor
  std::vector<Channel*> channels_;  // parallel to fds_
  std::vector<Ready> ready_;
};

}  // namespace caravan
