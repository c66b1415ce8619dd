#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/system/cares.hpp"
#include "core/wire/dns_message.hpp"

namespace caravan {

// The octets that come over the TCP connection of a c-ares channel, and the messages in them (RFC 1035, section 4.2.2).
// c-ares reads the octets from here; what was said is read from the messages.
//
// From 1.22 on c-ares does not hand out the message that came, but one that it writes anew. That one is longer, since
// owners beyond 16 KiB are not compressed in it, so its size says nothing about what a server has left out; 1.34.9
// gives none that would be longer than 64 KiB, and none at all for an SRV target that is compressed. 1.18 takes two
// recv(2) and two poll(2) for each message. Owned by one thread.
class TcpStream {
 public:
  TcpStream() = default;
  ~TcpStream() = default;
  TcpStream(const TcpStream&) = delete;
  TcpStream& operator=(const TcpStream&) = delete;

  // The channel, which makes TCP connections only, reads through this stream, which is to outlive it.
  void attach(ares_channel channel) noexcept;

  // Octets that c-ares has not read yet, although its socket may have no more.
  std::size_t unread() const noexcept { return octets_.size() - read_; }

  // The messages that have come since the last call of forget_messages(). c-ares tells of them in their order, and a
  // search begins behind the message that was found last. Empty when there is none.
  std::span<const std::uint8_t> message_with_id(std::uint16_t id) noexcept;
  std::span<const std::uint8_t> message_for(const Question& question) noexcept;
  void forget_messages() noexcept;

 private:
  struct Extent {
    std::size_t begin;
    std::size_t size;
  };

  void clear() noexcept;
  ssize_t receive(int fd);
  ssize_t read(int fd, std::span<std::uint8_t> to) noexcept;
  void find_messages();
  std::span<const std::uint8_t> at(const Extent& message) const noexcept;

  std::vector<std::uint8_t> octets_;  // from the length of the first message on that has not been forgotten
  std::size_t read_ = 0;              // by c-ares
  std::size_t incomplete_ = 0;        // where the message begins that has not come as a whole
  std::vector<Extent> messages_;
  std::size_t next_ = 0;  // of the messages
};

}  // namespace caravan
