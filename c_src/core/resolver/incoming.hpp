#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/system/cares.hpp"
#include "core/wire/dns_message.hpp"
#include "core/wire/ip_address.hpp"

namespace caravan {

// What comes to a c-ares channel over its transport: c-ares reads it from here, and what was said is read from the
// messages in it, as they came. From 1.22 on c-ares does not hand out the message that came, but one that it writes
// anew. That one is longer, since owners beyond 16 KiB are not compressed in it, so its size says nothing about what a
// server has left out; 1.34.9 gives none that would be longer than 64 KiB, and none at all for an SRV target that is
// compressed.
class Incoming {
 public:
  // Through `scope` the nameserver is reached.
  explicit Incoming(const Scope& scope) noexcept : scope_{scope} {}
  virtual ~Incoming() = default;
  Incoming(const Incoming&) = delete;
  Incoming& operator=(const Incoming&) = delete;

  // The channel reads through this, which is to outlive it.
  virtual void attach(ares_channel channel) noexcept = 0;

  // One of the messages that have come since the last call of forget_messages(). c-ares tells of them in their order,
  // and a search begins behind the message that was found last. Empty when there is none.
  virtual std::span<const std::uint8_t> message_with_id(std::uint16_t id) noexcept = 0;
  virtual std::span<const std::uint8_t> message_for(const Question& question) noexcept = 0;
  virtual void forget_messages() noexcept = 0;

  // Whether something has come over the connection that is open.
  virtual bool is_established() const noexcept = 0;

  // Octets that c-ares has not read yet, although its socket may have no more.
  virtual std::size_t unread() const noexcept = 0;

  const Scope& scope() const noexcept { return scope_; }

 private:
  const Scope scope_;
};

}  // namespace caravan
