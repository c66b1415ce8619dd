#include "core/resolver/endpoint_record.hpp"

#include <algorithm>

namespace caravan {
namespace {

constexpr std::chrono::seconds kProbeInterval{10};

// The round trip below which the window stays at kMinWindow.
constexpr std::chrono::milliseconds kNearRoundTrip{25};
// How long window() remembers that a connection was cut off.
constexpr std::chrono::seconds kCutOffMemory{10};
// The least round trip grows by this fraction with each reply.
constexpr int kLeastGrowth = 256;

}  // namespace

void EndpointRecord::on_question(TimePoint now) noexcept {
  if (!unanswered_since_) {
    unanswered_since_ = now;
  }
}

void EndpointRecord::on_reply(TimePoint asked, TimePoint now) noexcept {
  unanswered_since_.reset();
  probed_.reset();
  const auto taken = now - asked;
  if (!measured_) {
    measured_ = {taken, taken / 2, taken};
    return;
  }
  auto& [mean, deviation, least] = *measured_;
  const auto difference = std::chrono::abs(mean - taken);
  deviation += (difference - deviation) / 4;
  mean += (taken - mean) / 8;
  // The minimum grows slowly, to follow a path that has become longer.
  least = std::min(taken, least + least / kLeastGrowth);
}

std::size_t EndpointRecord::window(TimePoint now) const noexcept {
  if (!measured_ || (cut_off_ && now - *cut_off_ < kCutOffMemory)) {
    return kMinWindow;
  }
  const auto& [mean, deviation, least] = *measured_;
  // If replies take longer the more questions are in flight, the questions queue at the nameserver, and more of them
  // would not help.
  if (least <= kNearRoundTrip || mean > 2 * least) {
    return kMinWindow;
  }
  return std::min(kMaxWindow, kMinWindow * static_cast<std::size_t>(least / kNearRoundTrip));
}

std::optional<EndpointRecord::Duration> EndpointRecord::round_trip() const noexcept {
  return measured_ ? std::optional{measured_->mean} : std::nullopt;
}

std::optional<EndpointRecord::Duration> EndpointRecord::retransmission_timeout() const noexcept {
  return measured_ ? std::optional{measured_->mean + 4 * measured_->deviation} : std::nullopt;
}

EndpointRecord::Duration EndpointRecord::silence() const noexcept {
  return unanswered_since_ ? std::max(timed_out_ - *unanswered_since_, Duration::zero()) : Duration::zero();
}

bool EndpointRecord::is_probe_due(TimePoint now) noexcept {
  if (probed_ && now - *probed_ < kProbeInterval) {
    return false;
  }
  probed_ = now;
  return true;
}

}  // namespace caravan
