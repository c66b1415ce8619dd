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
  kUdp,       // UDP with EDNS, TCP when the answer is truncated
  kTcp,       // TCP only
  kTcpFirst,  // TCP, and UDP only when TCP cannot be had
};

// One question sent to one nameserver.
struct Attempt {
  std::uint8_t server = 0;  // index into the nameservers
  bool tcp = false;
};

// Which nameserver is asked next, and how, for one question. A pure state machine: it sends nothing and knows no time.
class AttemptPlan {
 public:
  // `servers` is 1..kMaxNameservers; every nameserver is tried up to `tries` times per transport, in turn, from
  // `first`.
  AttemptPlan(std::size_t servers, Transport transport, unsigned tries, std::size_t first = 0) noexcept;

  // Before the first attempt: this nameserver comes after all others, as it has been silent lately.
  void put_last(std::uint8_t server) noexcept;

  // The next attempt; nothing when all have been made.
  std::optional<Attempt> next() noexcept;

  // The last attempt that next() gave was not made; it is the next one.
  void put_back() noexcept { --made_; }

  // An attempt has ended in an error that is no answer. A nameserver that said why it will not answer is not asked
  // again.
  void fail(Attempt attempt, Error error) noexcept;

  // An attempt has had no reply in time. Where UDP comes after TCP, a nameserver that is silent gets no second
  // connection before: that is for one which has closed the first.
  void time_out(Attempt attempt) noexcept;

  // An attempt did not count: there may be one more.
  void repeat(Attempt attempt) noexcept;

  // All attempts have been made: each nameserver that has not said why it will not answer is asked once more, over the
  // transport of the last ones.
  void once_more() noexcept;

  // A nameserver gave a truncated answer over UDP: from now on only it is asked, over TCP.
  void truncated(Attempt attempt) noexcept;

  // The cause to report when every attempt has failed: what a nameserver said outweighs that another was silent.
  Error error() const noexcept { return error_; }

  // Whether the next attempt is over TCP, if there is one.
  bool is_over_tcp() const noexcept { return tcp_; }

  // Attempts that may still come over TCP before UDP is tried; 0 when there is no such fallback.
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
