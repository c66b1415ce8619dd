#include "core/resolver/pace.hpp"

#include <algorithm>

namespace caravan::pace {
namespace {

constexpr milliseconds kMaxAttemptTimeout{1000};

constexpr int kMaxPauses = 8;

}  // namespace

milliseconds attempt_timeout(milliseconds timeout, unsigned tries, std::size_t tcp_attempts,
                             Duration tcp_round_trip) noexcept {
  const auto longest = std::max(kMaxAttemptTimeout, std::chrono::ceil<milliseconds>(4 * tcp_round_trip));
  if (tcp_attempts == 0) {
    return std::min(longest, timeout / tries);
  }
  return std::min(longest, timeout / static_cast<milliseconds::rep>(std::max<std::size_t>(2 * tcp_attempts, tries)));
}

Duration retry_delay(milliseconds attempt_timeout, std::optional<Duration> retransmission_timeout) noexcept {
  const Duration longest{attempt_timeout};
  return retransmission_timeout ? std::min(longest, std::max<Duration>(*retransmission_timeout, kMinRetry)) : longest;
}

milliseconds pause(milliseconds timeout, milliseconds attempt_timeout) noexcept {
  return std::max({kMinRetry, attempt_timeout, timeout / kMaxPauses});
}

}  // namespace caravan::pace
