#include "core/resolver/endpoint_record.hpp"

#include <algorithm>

namespace caravan {
namespace {

constexpr std::chrono::seconds kProbeInterval{10};

// From how long a round trip on more than the least number of questions is under way.
constexpr std::chrono::milliseconds kNear{25};
// For how long a connection that was cut off is remembered.
constexpr std::chrono::seconds kCutOffMemory{10};
// By what part the least round trip grows with each reply.
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
  // A way that has become longer is measured anew by and by.
  least = std::min(taken, least + least / kLeastGrowth);
}

std::size_t EndpointRecord::window(TimePoint now) const noexcept {
  if (!measured_ || (cut_off_ && now - *cut_off_ < kCutOffMemory)) {
    return kMinWindow;
  }
  const auto& [mean, deviation, least] = *measured_;
  // One that answers the slower the more it is asked has its questions wait for each other.
  if (least <= kNear || mean > 2 * least) {
    return kMinWindow;
  }
  return std::min(kMaxWindow, kMinWindow * static_cast<std::size_t>(least / kNear));
}

std::optional<EndpointRecord::Duration> EndpointRecord::round_trip() const noexcept {
  return measured_ ? std::optional{measured_->mean} : std::nullopt;
}

std::optional<EndpointRecord::Duration> EndpointRecord::patience() const noexcept {
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
