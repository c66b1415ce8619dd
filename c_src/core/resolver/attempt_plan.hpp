#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/wire/error.hpp"
#include "core/wire/ip_address.hpp"

namespace caravan {

enum class Transport : std::uint8_t {
  kUdp,       // UDP with EDNS, and TCP if the reply is truncated
  kTcp,       // TCP only
  kTcpFirst,  // TCP, and UDP if no nameserver answers over TCP
};

// A question sent once to one nameserver.
struct Attempt {
  std::uint8_t server = 0;  // index into the nameservers
  bool tcp = false;
};

// Decides which nameserver is asked next for one question, and over which transport. A pure state machine without I/O
// and time.
class AttemptPlan {
 public:
  // `servers` is 1..kMaxNameservers. The nameservers are asked in turn, beginning with `first`, each up to `tries`
  // times. With kTcpFirst, that holds for the UDP attempts. Before them, each nameserver is asked once over TCP, or
  // twice if it is the only one.
  AttemptPlan(std::size_t servers, Transport transport, unsigned tries, std::size_t first = 0) noexcept;

  // Moves a nameserver behind all others, because it has been silent lately. Must be called before the first call of
  // next().
  void put_last(std::uint8_t server) noexcept;

  // Returns the next attempt, or nullopt if all attempts have been made.
  std::optional<Attempt> next() noexcept;

  // Takes back the attempt that next() returned last. The next call of next() returns it again.
  void put_back() noexcept { --made_; }

  // Records that an attempt failed. A nameserver that said why it does not answer (SERVFAIL, REFUSED, NOTIMP) is not
  // asked again.
  void fail(Attempt attempt, Error error) noexcept;

  // Records that an attempt had no reply in time. If UDP comes after TCP, a silent nameserver gets no second attempt
  // over TCP, which is meant for a connection that was closed.
  void time_out(Attempt attempt) noexcept;

  // Adds one attempt, because `attempt` does not count.
  void repeat(Attempt attempt) noexcept;

  // Adds one attempt for each nameserver over the current transport, after all attempts have been made. Nameservers
  // that said why they do not answer are still skipped.
  void add_round() noexcept;

  // Records a truncated reply over UDP. From now on only that nameserver is asked, over TCP.
  void truncated(Attempt attempt) noexcept;

  // Returns the error to report if all attempts have failed. What a nameserver said takes precedence over another one's
  // silence.
  Error error() const noexcept { return error_; }

  // Returns whether the next attempt is over TCP, if there is one.
  bool is_over_tcp() const noexcept { return tcp_; }

  // Returns the number of attempts over TCP before the fallback to UDP, or 0 if the plan has no fallback.
  std::size_t attempts_before_fallback() const noexcept;

 private:
  void start_stage(bool tcp, unsigned tries) noexcept;

  std::size_t servers_;
  std::array<std::uint8_t, kMaxNameservers> order_{};
  unsigned tries_;
  bool tcp_;
  bool fallback_;
  std::optional<std::uint8_t> only_server_;
  std::size_t made_ = 0;
  std::size_t limit_ = 0;
  std::bitset<kMaxNameservers> given_up_;
  Error error_ = Error::kTimeout;
};

}  // namespace caravan
