#include "core/resolver/socket_set.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <system_error>
#include <thread>
#include <utility>

namespace caravan {
namespace {

constexpr std::chrono::milliseconds kPollFailurePause{10};

}  // namespace

bool set_descriptor_flags(int fd) noexcept {
  return ::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && ::fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

Fd::~Fd() {
  if (fd_ >= 0) {
    ::close(fd_);
  }
}

Fd& Fd::operator=(Fd&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

int Fd::release() noexcept { return std::exchange(fd_, -1); }

WakePipe::WakePipe() {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) {
    throw std::system_error{errno, std::generic_category(), "pipe"};
  }
  read_ = Fd{ends[0]};
  write_ = Fd{ends[1]};
  if (!set_descriptor_flags(ends[0]) || !set_descriptor_flags(ends[1])) {
    throw std::system_error{errno, std::generic_category(), "fcntl"};
  }
}

void WakePipe::wake() noexcept {
  const char byte = 0;
  // If the pipe is full, its reader wakes anyway.
  [[maybe_unused]] const auto written = ::write(write_.get(), &byte, 1);
}

void WakePipe::drain() noexcept {
  std::array<char, 64> bytes{};
  while (::read(read_.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size())) {
  }
}

SocketSet::SocketSet(int wake_fd) {
  fds_.push_back({wake_fd, POLLIN, 0});
  channels_.push_back(nullptr);
}

void SocketSet::watch(Channel& channel, int fd, bool readable, bool writable) {
  const auto entry = std::find_if(fds_.begin() + 1, fds_.end(), [fd](const pollfd& p) { return p.fd == fd; });
  const auto index = entry - fds_.begin();
  const auto events = static_cast<short>((readable ? POLLIN : 0) | (writable ? POLLOUT : 0));
  if (events == 0) {
    if (entry != fds_.end()) {
      *entry = fds_.back();
      fds_.pop_back();
      channels_[static_cast<std::size_t>(index)] = channels_.back();
      channels_.pop_back();
    }
    return;
  }
  if (entry == fds_.end()) {
    fds_.push_back({fd, events, 0});
    channels_.push_back(&channel);
    return;
  }
  entry->events = events;
  channels_[static_cast<std::size_t>(index)] = &channel;
}

const std::vector<SocketSet::Ready>& SocketSet::wait(std::optional<std::chrono::milliseconds> timeout) {
  using Milliseconds = std::chrono::milliseconds::rep;
  const int milliseconds =
      timeout ? static_cast<int>(std::clamp<Milliseconds>(timeout->count(), 0, std::numeric_limits<int>::max())) : -1;
  ready_.clear();
  const auto count = ::poll(fds_.data(), static_cast<nfds_t>(fds_.size()), milliseconds);
  if (count < 0 && errno != EINTR) {
    // There is no memory, or the descriptor limit was lowered. The pause keeps the loop from spinning.
    std::this_thread::sleep_for(std::min(timeout.value_or(kPollFailurePause), kPollFailurePause));
  }
  if (count <= 0) {
    return ready_;
  }
  for (std::size_t i = 1; i < fds_.size(); ++i) {
    const auto events = fds_[i].revents;
    if (events != 0) {
      // c-ares detects the cause of an error or a hang-up when it reads and writes.
      const bool broken = (events & (POLLERR | POLLHUP | POLLNVAL)) != 0;
      ready_.push_back({channels_[i], fds_[i].fd, broken || (events & POLLIN) != 0, broken || (events & POLLOUT) != 0});
    }
  }
  return ready_;
}

}  // namespace caravan
