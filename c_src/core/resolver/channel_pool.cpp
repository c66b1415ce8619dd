#include "core/resolver/channel_pool.hpp"

#include <algorithm>
#include <chrono>

namespace caravan {
namespace {

constexpr std::chrono::milliseconds kTendInterval{500};
constexpr std::chrono::seconds kIdleLimit{30};
// With more channels than that, idle ones are closed at once.
constexpr std::size_t kMaxIdle = 64;
constexpr std::size_t kMaxChannels = ChannelPool::kMaxInFlight / ChannelPool::kQueriesPerPort;
// A connection without replies is not replaced before this age.
constexpr std::chrono::seconds kMinLife{1};

}  // namespace

// Only compares `channel`, which may dangle.
ChannelPool::Channels::const_iterator ChannelPool::find(const Channels& channels, const Channel* channel) noexcept {
  return std::find_if(channels.begin(), channels.end(), [=](const auto& entry) { return entry.get() == channel; });
}

bool ChannelPool::is_full(const Channel& channel, bool tcp) noexcept {
  return tcp ? channel.in_flight() >= kMaxInFlight : channel.sent_in_a_row() >= kQueriesPerPort;
}

ChannelPool::Choice ChannelPool::get(const ChannelSettings& settings, TimePoint now) {
  if (last_ == nullptr || last_->first != settings) {
    last_ = &*groups_.try_emplace(settings).first;
  }
  auto& group = last_->second;
  auto& usable = group.usable;
  for (std::size_t i = 0; i < usable.size(); ++i) {
    if (!is_full(*usable[group.current], settings.endpoint.tcp)) {
      return {usable[group.current].get()};
    }
    group.current = (group.current + 1) % usable.size();
  }
  if (settings.endpoint.tcp && !usable.empty()) {
    return {nullptr, Error::kOverload};
  }
  if (usable.size() + group.retired.size() >= kMaxChannels) {
    close_abandoned(group, settings.endpoint.tcp);
    if (usable.size() + group.retired.size() >= kMaxChannels) {
      return {nullptr, Error::kOverload};
    }
  }
  auto channel = Channel::open(settings, sockets_, observer_, now);
  if (!channel) {
    return {nullptr, Error::kSystem};
  }
  usable.push_back(std::move(channel));
  group.current = usable.size() - 1;
  return {usable.back().get()};
}

// Closes channels that take no more questions and for which no lookup waits. Each lost reply would otherwise keep a
// channel open for as long as c-ares waits for it.
void ChannelPool::close_abandoned(Group& group, bool tcp) {
  std::erase_if(group.retired, [](const auto& channel) { return channel->is_abandoned(); });
  std::erase_if(group.usable, [tcp](const auto& channel) {
    return channel->in_flight() > 0 && channel->is_abandoned() && is_full(*channel, tcp);
  });
  group.current = 0;
}

bool ChannelPool::retire(const ChannelSettings& settings, const Channel* channel, TimePoint asked, TimePoint now) {
  const auto group = groups_.find(settings);
  if (group == groups_.end()) {
    return false;
  }
  auto& [usable, current, retired] = group->second;
  const auto found = find(usable, channel);
  if (found == usable.end()) {
    return false;
  }
  if (settings.endpoint.tcp && ((*found)->last_reply() >= asked || now - (*found)->opened() < kMinLife)) {
    return false;
  }
  const auto entry = usable.begin() + (found - usable.cbegin());
  (*entry)->set_retired(true);
  retired.push_back(std::move(*entry));
  usable.erase(entry);
  current = 0;
  return true;
}

void ChannelPool::restore(const Channel& channel) {
  if (!channel.is_retired() || !channel.settings().endpoint.tcp) {
    return;
  }
  const auto group = groups_.find(channel.settings());
  if (group == groups_.end()) {
    return;
  }
  auto& [usable, current, retired] = group->second;
  const auto found = find(retired, &channel);
  if (found != retired.end()) {
    const auto entry = retired.begin() + (found - retired.cbegin());
    (*entry)->set_retired(false);
    usable.push_back(std::move(*entry));
    retired.erase(entry);
  }
}

const Channel* ChannelPool::find_usable(const ChannelSettings& settings, const Channel* channel) const {
  const auto group = groups_.find(settings);
  if (group == groups_.end()) {
    return nullptr;
  }
  const auto found = find(group->second.usable, channel);
  return found == group->second.usable.end() ? nullptr : found->get();
}

bool ChannelPool::has_answered_after(TimePoint when, const ChannelSettings& settings, const Channel* channel) const {
  const auto* found = find_usable(settings, channel);
  return found != nullptr && found->last_reply() > when;
}

bool ChannelPool::is_usable(const ChannelSettings& settings, const Channel* channel) const {
  return find_usable(settings, channel) != nullptr;
}

void ChannelPool::flush(TimePoint now) noexcept {
  for (auto& [settings, group] : groups_) {
    if (settings.endpoint.tcp) {
      std::for_each(group.usable.begin(), group.usable.end(), [now](const auto& channel) { channel->flush(now); });
    }
  }
}

void ChannelPool::tend(TimePoint now) {
  if (now - tended_ < kTendInterval) {
    return;
  }
  tended_ = now;
  std::size_t count = 0;
  for (const auto& [settings, group] : groups_) {
    count += group.usable.size() + group.retired.size();
  }
  for (auto& [settings, group] : groups_) {
    const auto idle_limit =
        count > kMaxIdle ? std::chrono::seconds{0} : (settings.endpoint.tcp ? kConnectionIdleLimit : kIdleLimit);
    close_abandoned(group, settings.endpoint.tcp);
    std::erase_if(group.usable, [&](const auto& channel) {
      return channel->is_abandoned() && now - channel->last_used() > idle_limit;
    });
    group.current = 0;
  }
  last_ = nullptr;
  std::erase_if(groups_, [](const auto& entry) { return entry.second.usable.empty() && entry.second.retired.empty(); });
}

std::optional<ChannelPool::TimePoint> ChannelPool::next_tend(TimePoint now) const {
  if (groups_.empty()) {
    return std::nullopt;
  }
  const bool has_connections =
      std::any_of(groups_.begin(), groups_.end(), [](const auto& entry) { return entry.first.endpoint.tcp; });
  const bool busy = std::any_of(groups_.begin(), groups_.end(), [](const auto& entry) {
    const auto& [usable, current, retired] = entry.second;
    return !retired.empty() ||
           std::any_of(usable.begin(), usable.end(), [](const auto& channel) { return !channel->is_abandoned(); });
  });
  return busy ? tended_ + kTendInterval : now + (has_connections ? kConnectionIdleLimit : kIdleLimit);
}

}  // namespace caravan
