#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

// When a lookup asks again.
namespace caravan::pace {

using std::chrono::milliseconds;
using Duration = std::chrono::steady_clock::duration;

// No question is repeated sooner, however fast the nameserver usually is: it may have to ask other nameservers first.
inline constexpr milliseconds kMinRetry{250};

// Returns how long a lookup with `timeout` in all waits for one nameserver before it asks the next one. If UDP comes
// after `tcp_attempts` over TCP, keeps at least half of `timeout` for UDP; 0 means that there is no such fallback. A
// connection takes two round trips, and the next one may be longer than `tcp_round_trip`, the measured one, which is
// zero if none was measured.
milliseconds attempt_timeout(milliseconds timeout, unsigned tries, std::size_t tcp_attempts,
                             Duration tcp_round_trip) noexcept;

// Returns after what time a question over UDP, or over a connection that may be stale, counts as lost.
// `retransmission_timeout` is that of the nameserver, or nullopt if it is not known.
Duration retry_delay(milliseconds attempt_timeout, std::optional<Duration> retransmission_timeout) noexcept;

// Returns how long a lookup pauses after it has met only silence. It pauses at most eight times.
milliseconds pause(milliseconds timeout, milliseconds attempt_timeout) noexcept;

}  // namespace caravan::pace
