#include "core/resolver/lookup.hpp"

#include <algorithm>
#include <utility>

namespace caravan {
namespace {

// The number of entries up to which tidy() keeps their memory.
constexpr std::size_t kMaxKept = 1024;

}  // namespace

bool Lookup::is_wanted() const noexcept {
  const auto is_waiting = [](const Waiter& waiter) { return waiter.receiver->interest() == Interest::kWaiting; };
  return is_waiting(waiters.first) || std::any_of(waiters.others.begin(), waiters.others.end(), is_waiting);
}

bool Lookup::awaits_tcp() const noexcept {
  return std::any_of(channels.begin(), channels.end(),
                     [](const Channel* each) { return each->settings().endpoint.tcp; });
}

bool Lookup::release_channels() noexcept {
  for (auto* each : channels) {
    each->abandon();
  }
  outstanding -= channels.size();
  const bool any = !channels.empty();
  channels.clear();
  return any;
}

Lookup& LookupTable::open(ClientState& client) {
  if (free_.empty()) {
    auto& lookup = entries_.emplace_back();
    lookup.ref.generation = ++last_generation_;
    lookup.ref.index = static_cast<std::uint32_t>(entries_.size() - 1);
    lookup.client = &client;
    // Reserves room in advance, so that close() does not allocate.
    if (free_.capacity() < entries_.size()) {
      free_.reserve(2 * entries_.size());
    }
    return lookup;
  }
  auto& lookup = entries_[free_.back()];
  free_.pop_back();
  lookup.client = &client;
  return lookup;
}

Lookup::Waiters LookupTable::close(Lookup& lookup) {
  timers_.cancel(lookup.ref.index);
  auto waiters = std::move(lookup.waiters);
  Lookup cleared;
  cleared.ref = {lookup.ref.index, ++last_generation_};
  // Keeps the capacity of the vector for the next lookup.
  lookup.channels.clear();
  std::swap(cleared.channels, lookup.channels);
  lookup = std::move(cleared);
  free_.push_back(lookup.ref.index);
  return waiters;
}

void LookupTable::tidy() {
  if (free_.size() == entries_.size() && entries_.size() > kMaxKept) {
    entries_ = std::deque<Lookup>{};
    free_ = std::vector<std::uint32_t>{};
    timers_ = Timers{};
  }
}

Lookup* LookupTable::find(LookupRef ref) noexcept {
  if (ref.index >= entries_.size()) {
    return nullptr;
  }
  auto& lookup = entries_[ref.index];
  return lookup.client != nullptr && lookup.ref.generation == ref.generation ? &lookup : nullptr;
}

void LookupTable::wake_at(Lookup& lookup, TimePoint when) { timers_.set(lookup.ref.index, when); }

Lookup* LookupTable::take_due(TimePoint now) noexcept {
  const auto due = timers_.take_due(now);
  return due ? &entries_[*due] : nullptr;
}

}  // namespace caravan
