#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

// When a lookup asks again.
namespace caravan::pace {

using std::chrono::milliseconds;
using Duration = std::chrono::steady_clock::duration;

// Nothing is asked again sooner, however fast the nameserver is otherwise: it may have to ask others first.
inline constexpr milliseconds kMinRetry{250};

// How long one nameserver may take before the next one is asked, of a lookup that has `timeout` in all. At least half
// of that is kept for UDP where it comes after `tcp_attempts` over TCP (0: it does not). A connection takes two round
// trips, and `tcp_round_trip`, what was measured (zero: nothing), may be less than usual.
milliseconds attempt_timeout(milliseconds timeout, unsigned tries, std::size_t tcp_attempts,
                             Duration tcp_round_trip) noexcept;

// After how long a question counts as lost that went over UDP, or over a connection that may lead nowhere any more: the
// sooner it is asked again, the less that costs. `patience` is how long the nameserver takes otherwise; nothing if it
// is not known.
Duration retry(milliseconds attempt_timeout, std::optional<Duration> patience) noexcept;

// For how long a lookup pauses that has had nothing but silence: eight times at the most.
milliseconds pause(milliseconds timeout, milliseconds attempt_timeout) noexcept;

}  // namespace caravan::pace
