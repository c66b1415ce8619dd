#include "core/resolver/datagrams.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>

#include "core/resolver/socket_functions.hpp"

namespace caravan {
namespace {

constexpr std::size_t kMaxSize = 65535;
// What is no reply is passed over, but not for as long as somebody sends it.
constexpr int kReadAtOnce = 64;

}  // namespace

void Datagrams::attach(ares_channel channel) noexcept {
  static constexpr ares_socket_functions functions{
      .asocket = socket_functions::open,
      .aclose = [](ares_socket_t fd, void* /*datagrams*/) { return ::close(fd); },
      .aconnect = socket_functions::connect,
      .arecvfrom = [](ares_socket_t fd, void* to, std::size_t size, int /*flags*/, sockaddr* from,
                      ares_socklen_t* from_size, void* datagrams) -> ares_ssize_t {
        return static_cast<Datagrams*>(datagrams)->read(fd, {static_cast<std::uint8_t*>(to), size}, from, from_size);
      },
      .asendv = socket_functions::send,
  };
  ::ares_set_socket_functions(channel, &functions, this);
}

ssize_t Datagrams::read(int fd, std::span<std::uint8_t> to, sockaddr* from, socklen_t* from_size) noexcept try {
  last_ = {};
  buffer_.resize(kMaxSize);
  const auto room = from_size == nullptr ? socklen_t{0} : *from_size;
  for (int count = 0; count < kReadAtOnce; ++count) {
    if (from_size != nullptr) {
      *from_size = room;
    }
    const auto received = ::recvfrom(fd, buffer_.data(), buffer_.size(), 0, from, from_size);
    if (received < 0) {
      return received;
    }
    const std::span<const std::uint8_t> datagram{buffer_.data(), static_cast<std::size_t>(received)};
    if (is_reply(datagram)) {
      last_ = datagram;
      const auto size = std::min(to.size(), datagram.size());
      std::copy_n(datagram.begin(), size, to.begin());
      return static_cast<ssize_t>(size);
    }
  }
  errno = EAGAIN;
  return -1;
} catch (const std::exception&) {
  errno = ENOMEM;
  return -1;
}

std::span<const std::uint8_t> Datagrams::message_with_id(std::uint16_t id) noexcept {
  const bool is_it = last_.size() >= 2 && (last_[0] << 8 | last_[1]) == id;
  return is_it ? last_ : std::span<const std::uint8_t>{};
}

std::span<const std::uint8_t> Datagrams::message_for(const Question& question) noexcept try {
  return asks(last_, question) ? last_ : std::span<const std::uint8_t>{};
} catch (const std::exception&) {
  return {};
}

}  // namespace caravan
