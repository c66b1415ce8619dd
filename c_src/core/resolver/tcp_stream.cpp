#include "core/resolver/tcp_stream.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>

#include "core/resolver/socket_functions.hpp"

namespace caravan {
namespace {

constexpr std::size_t kReadSize = 65536;
constexpr std::size_t kLengthSize = 2;
// Bounds the search, since a nameserver may send any number of messages.
constexpr std::ptrdiff_t kMaxSearched = 64;

}  // namespace

void TcpStream::attach(ares_channel channel) noexcept {
  static constexpr ares_socket_functions functions{
      .asocket =
          [](int domain, int type, int protocol, void* stream) {
            static_cast<TcpStream*>(stream)->clear();
            return socket_functions::open(domain, type, protocol, stream);
          },
      // c-ares reports the last replies after it has closed the socket, so their octets are kept.
      .aclose =
          [](ares_socket_t fd, void* stream) {
            auto& self = *static_cast<TcpStream*>(stream);
            self.read_ = self.octets_.size();
            return ::close(fd);
          },
      .aconnect =
          [](ares_socket_t fd, const sockaddr* address, ares_socklen_t size, void* stream) {
            return socket_functions::connect(fd, address, size, static_cast<const TcpStream*>(stream)->scope());
          },
      .arecvfrom = [](ares_socket_t fd, void* to, std::size_t size, int /*flags*/, sockaddr* /*from*/,
                      ares_socklen_t* /*from_size*/, void* stream) -> ares_ssize_t {
        return static_cast<TcpStream*>(stream)->read(fd, {static_cast<std::uint8_t*>(to), size});
      },
      .asendv = socket_functions::send,
  };
  ::ares_set_socket_functions(channel, &functions, this);
}

ssize_t TcpStream::read(int fd, std::span<std::uint8_t> to) noexcept {
  if (unread() == 0) {
    try {
      const auto received = receive(fd);
      if (received <= 0) {
        return received;
      }
    } catch (const std::exception&) {
      errno = ENOMEM;
      return -1;
    }
  }
  const auto size = std::min(to.size(), unread());
  std::copy_n(octets_.begin() + static_cast<std::ptrdiff_t>(read_), size, to.begin());
  read_ += size;
  return static_cast<ssize_t>(size);
}

ssize_t TcpStream::receive(int fd) {
  if (!buffer_) {
    buffer_ = std::make_unique_for_overwrite<std::uint8_t[]>(kReadSize);  // NOLINT(modernize-avoid-c-arrays)
  }
  const auto received = ::recv(fd, buffer_.get(), kReadSize, 0);
  if (received > 0) {
    is_established_ = true;
    octets_.insert(octets_.end(), buffer_.get(), buffer_.get() + received);
    find_messages();
  }
  return received;
}

void TcpStream::find_messages() {
  while (octets_.size() - incomplete_ >= kLengthSize) {
    const auto size = static_cast<std::size_t>(octets_[incomplete_] << 8 | octets_[incomplete_ + 1]);
    if (octets_.size() - incomplete_ - kLengthSize < size) {
      return;
    }
    messages_.push_back({incomplete_ + kLengthSize, size});
    incomplete_ += kLengthSize + size;
  }
}

std::span<const std::uint8_t> TcpStream::at(const Extent& message) const noexcept {
  return std::span{octets_}.subspan(message.begin, message.size);
}

std::span<const std::uint8_t> TcpStream::message_with_id(std::uint16_t id) noexcept {
  while (next_ < messages_.size()) {
    const auto message = at(messages_[next_++]);
    if (message.size() >= 2 && (message[0] << 8 | message[1]) == id) {
      return message;
    }
  }
  return {};
}

std::span<const std::uint8_t> TcpStream::message_for(const Question& question) noexcept try {
  const auto begin = messages_.begin() + static_cast<std::ptrdiff_t>(next_);
  const auto end = begin + std::min(kMaxSearched, messages_.end() - begin);
  const auto found = std::find_if(begin, end, [&](const Extent& message) { return asks(at(message), question); });
  return found == end ? std::span<const std::uint8_t>{} : at(*found);
} catch (const std::exception&) {
  return {};
}

void TcpStream::forget_messages() noexcept {
  messages_.clear();
  next_ = 0;
  const auto count = std::min(incomplete_, read_);
  octets_.erase(octets_.begin(), octets_.begin() + static_cast<std::ptrdiff_t>(count));
  read_ -= count;
  incomplete_ -= count;
  if (octets_.empty() && octets_.capacity() > kReadSize) {
    octets_.shrink_to_fit();
  }
}

void TcpStream::clear() noexcept {
  is_established_ = false;
  octets_.clear();
  read_ = 0;
  incomplete_ = 0;
  messages_.clear();
  next_ = 0;
}

}  // namespace caravan
