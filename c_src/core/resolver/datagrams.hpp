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

// The datagrams that come over UDP. c-ares 1.18 cuts those that are longer than was advertised; of these, too, all is
// here.
//
// What is no reply does not reach c-ares. To it a question that comes back, as from a host that echoes, is the reply to
// itself, and some versions give up all that waits at a socket for a datagram that they cannot read.
//
// EDNS is ours, so that a nameserver which does not know it is asked without, and that is remembered. Some of them send
// back a header alone, which c-ares passes over since it does not say what it replies to. Owned by one thread.
class Datagrams final : public Incoming {
 public:
  // The largest reply that a nameserver is told it may send; 0: no EDNS. With `mixed_case` a reply that does not repeat
  // the case of its question becomes one that is truncated: over TCP, nobody can forge it.
  Datagrams(std::uint16_t edns_size, bool mixed_case, const Scope& scope)
      : Incoming{scope}, edns_size_{edns_size}, mixed_case_{mixed_case ? std::make_unique<MixedCase>() : nullptr} {}

  void attach(ares_channel channel) noexcept override;

  // Of the datagram that c-ares has read last.
  std::span<const std::uint8_t> message_with_id(std::uint16_t id) noexcept override;
  std::span<const std::uint8_t> message_for(const Question& question) noexcept override;
  void forget_messages() noexcept override { last_ = {}; }

  bool is_established() const noexcept override { return false; }
  std::size_t unread() const noexcept override { return 0; }

 private:
  ssize_t send(int fd, const iovec* parts, int count) noexcept;
  // With the question that it is to, a reply that says FORMERR and nothing else.
  std::span<std::uint8_t> with_question(std::span<std::uint8_t> reply) noexcept;
  // What is to be read of a reply; empty if it is none to a question of ours.
  std::span<std::uint8_t> checked(std::span<std::uint8_t> reply) noexcept;
  ssize_t read(int fd, std::span<std::uint8_t> to, sockaddr* from, socklen_t* from_size) noexcept;

  std::uint16_t edns_size_;
  std::unique_ptr<MixedCase> mixed_case_;  // null: questions leave as they are
  RecentQuestions sent_;                   // as c-ares knows them
  // Its pages are not used until so much has come.
  std::unique_ptr<std::uint8_t[]> buffer_;  // NOLINT(modernize-avoid-c-arrays): a vector would write to all of it
  std::span<const std::uint8_t> last_;
};

}  // namespace caravan
