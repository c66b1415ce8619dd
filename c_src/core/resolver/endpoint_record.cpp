#include "core/resolver/endpoint_record.hpp"

#include <algorithm>

namespace caravan {
namespace {

constexpr std::chrono::seconds kProbeInterval{10};

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
    measured_ = {taken, taken / 2};
    return;
  }
  auto& [mean, deviation] = *measured_;
  const auto difference = std::chrono::abs(mean - taken);
  deviation += (difference - deviation) / 4;
  mean += (taken - mean) / 8;
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
