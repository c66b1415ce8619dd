#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/system/cares.hpp"
#include "core/wire/dns_message.hpp"
#include "core/wire/ip_address.hpp"

namespace caravan {

// What a c-ares channel receives. c-ares reads through this object, and replies are decoded from the messages in it as
// they were received, not from what c-ares hands out. From 1.22 on, that is a message that c-ares has reencoded. It is
// larger, because owners beyond 16 KiB are not compressed, so its size does not show whether the nameserver may have
// dropped records. 1.34.9 hands out no message if the reencoded one would exceed 64 KiB, and none if an SRV target is
// compressed.
class Incoming {
 public:
  // `scope` is the zone of the nameserver's address.
  explicit Incoming(const Scope& scope) noexcept : scope_{scope} {}
  virtual ~Incoming() = default;
  Incoming(const Incoming&) = delete;
  Incoming& operator=(const Incoming&) = delete;

  // Makes `channel` read through this object, which must outlive it.
  virtual void attach(ares_channel channel) noexcept = 0;

  // These two return a message that was received since the last call of forget_messages(), or an empty span if there is
  // none. c-ares reports messages in the order of receipt, so message_with_id() searches behind the message that it
  // returned last.
  virtual std::span<const std::uint8_t> message_with_id(std::uint16_t id) noexcept = 0;
  virtual std::span<const std::uint8_t> message_for(const Question& question) noexcept = 0;
  virtual void forget_messages() noexcept = 0;

  // Returns whether something has been received over the current connection.
  virtual bool is_established() const noexcept = 0;

  // Returns the number of octets that c-ares has yet to read. Its socket may be empty nevertheless.
  virtual std::size_t unread() const noexcept = 0;

  const Scope& scope() const noexcept { return scope_; }

 private:
  const Scope scope_;
};

}  // namespace caravan
