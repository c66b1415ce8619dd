#pragma once

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "core/resolver/incoming.hpp"
#include "core/resolver/mixed_case.hpp"
#include "core/resolver/recent_questions.hpp"

namespace caravan {

// The datagrams of a channel over UDP. Holds a received datagram in full, even if it is longer than the advertised
// size, at which c-ares 1.18 would truncate it.
//
// Passes only replies on to c-ares. c-ares would take an echoed question for its own reply, and some versions fail all
// questions of a socket if they cannot parse a datagram.
//
// Adds EDNS to questions in place of c-ares, so that a nameserver without support is asked without EDNS and is
// remembered. Such a nameserver may reply with a header alone; that reply gets its question back, without which c-ares
// would ignore it. One thread owns it.
class Datagrams final : public Incoming {
 public:
  // `edns_size` is the UDP size to advertise; 0 sends no EDNS. With `mixed_case`, a reply that does not repeat the case
  // of its question is passed on as truncated, so that the question is repeated over TCP, where a reply is hard to
  // forge.
  Datagrams(std::uint16_t edns_size, bool mixed_case, const Scope& scope)
      : Incoming{scope}, edns_size_{edns_size}, mixed_case_{mixed_case ? std::make_unique<MixedCase>() : nullptr} {}

  void attach(ares_channel channel) noexcept override;

  // These two examine the datagram that c-ares has read last.
  std::span<const std::uint8_t> message_with_id(std::uint16_t id) noexcept override;
  std::span<const std::uint8_t> message_for(const Question& question) noexcept override;
  void forget_messages() noexcept override { last_ = {}; }

  bool is_established() const noexcept override { return false; }
  std::size_t unread() const noexcept override { return 0; }

 private:
  ssize_t send(int fd, const iovec* parts, int count) noexcept;
  // Adds the question to a FORMERR reply that consists of a header alone. Returns any other reply unchanged.
  std::span<std::uint8_t> with_question(std::span<std::uint8_t> reply) noexcept;
  // Returns the reply in the form in which c-ares reads it, or an empty span if it is no reply to a recent question.
  std::span<std::uint8_t> checked(std::span<std::uint8_t> reply) noexcept;
  ssize_t read(int fd, std::span<std::uint8_t> to, sockaddr* from, socklen_t* from_size) noexcept;

  std::uint16_t edns_size_;
  std::unique_ptr<MixedCase> mixed_case_;  // null if questions keep their case
  RecentQuestions sent_;                   // in the case that c-ares knows
  // Large, but the kernel commits only the pages that are written to.
  std::unique_ptr<std::uint8_t[]> buffer_;  // NOLINT(modernize-avoid-c-arrays): a vector would initialise all of it
  std::span<const std::uint8_t> last_;
};

}  // namespace caravan
