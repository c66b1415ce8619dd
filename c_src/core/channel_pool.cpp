#include "core/channel_pool.hpp"

#include <algorithm>
#include <chrono>

namespace caravan {
namespace {

constexpr std::chrono::milliseconds kTendInterval{500};
constexpr std::chrono::seconds kIdleLimit{30};
// With more than that, idle ones are closed at once.
constexpr std::size_t kMaxIdle = 32;

}  // namespace

Channel* ChannelPool::get(const Endpoint& endpoint) {
  const auto known = channels_.find(endpoint);
  if (known != channels_.end()) {
    return known->second.get();
  }
  auto channel = Channel::open(endpoint, sockets_, observer_);
  return channel ? channels_.emplace(endpoint, std::move(channel)).first->second.get() : nullptr;
}

void ChannelPool::tend(TimePoint now) {
  if (now - tended_ < kTendInterval) {
    return;
  }
  tended_ = now;
  const auto idle_limit = channels_.size() > kMaxIdle ? std::chrono::seconds{0} : kIdleLimit;
  for (auto& [endpoint, channel] : channels_) {
    channel->expire(now);
  }
  std::erase_if(channels_, [&](const auto& entry) {
    const auto& channel = *entry.second;
    return channel.in_flight() == 0 && now - channel.last_used() > idle_limit;
  });
}

std::optional<ChannelPool::TimePoint> ChannelPool::next_tend(TimePoint now) const {
  if (channels_.empty()) {
    return std::nullopt;
  }
  const bool busy =
      std::any_of(channels_.begin(), channels_.end(), [](const auto& entry) { return entry.second->in_flight() > 0; });
  return busy ? tended_ + kTendInterval : now + kIdleLimit;
}

}  // namespace caravan
