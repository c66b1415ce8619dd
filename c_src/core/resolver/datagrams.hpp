#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/resolver/incoming.hpp"

namespace caravan {

// The datagrams that come over UDP. c-ares 1.18 cuts those that are longer than was advertised; of these, too, all is
// here.
//
// What is no reply does not reach c-ares. To it a question that comes back, as from a host that echoes, is the reply to
// itself, and some versions give up all that waits at a socket for a datagram that they cannot read. Owned by one
// thread.
class Datagrams final : public Incoming {
 public:
  void attach(ares_channel channel) noexcept override;

  // Of the datagram that c-ares has read last.
  std::span<const std::uint8_t> message_with_id(std::uint16_t id) noexcept override;
  std::span<const std::uint8_t> message_for(const Question& question) noexcept override;
  void forget_messages() noexcept override { last_ = {}; }

  std::size_t unread() const noexcept override { return 0; }

 private:
  ssize_t read(int fd, std::span<std::uint8_t> to, sockaddr* from, socklen_t* from_size) noexcept;

  std::vector<std::uint8_t> buffer_;
  std::span<const std::uint8_t> last_;
};

}  // namespace caravan
