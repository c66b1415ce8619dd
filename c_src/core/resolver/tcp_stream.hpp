#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/resolver/incoming.hpp"

namespace caravan {

// The octets received over a TCP connection, and the messages in them (RFC 1035, section 4.2.2). Reads all that the
// socket has at once, where c-ares 1.18 takes two recv(2) and two poll(2) for each message. One thread owns it.
class TcpStream final : public Incoming {
 public:
  using Incoming::Incoming;

  void attach(ares_channel channel) noexcept override;

  std::span<const std::uint8_t> message_with_id(std::uint16_t id) noexcept override;
  std::span<const std::uint8_t> message_for(const Question& question) noexcept override;
  void forget_messages() noexcept override;

  bool is_established() const noexcept override { return is_established_; }
  std::size_t unread() const noexcept override { return octets_.size() - read_; }

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

  bool is_established_ = false;
  // Large, but the kernel commits only the pages that are written to.
  std::unique_ptr<std::uint8_t[]> buffer_;  // NOLINT(modernize-avoid-c-arrays): a vector would initialise all of it
  std::vector<std::uint8_t> octets_;        // begins with the length of the first message that is not forgotten
  std::size_t read_ = 0;                    // the number of octets that c-ares has read
  std::size_t incomplete_ = 0;              // where the first incomplete message begins
  std::vector<Extent> messages_;
  std::size_t next_ = 0;  // index of the message at which message_with_id() continues
};

}  // namespace caravan
