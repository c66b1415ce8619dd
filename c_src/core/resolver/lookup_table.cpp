#include "core/resolver/lookup_table.hpp"

#include <utility>

namespace caravan {
namespace {

// Slots that are kept when no lookup is open.
constexpr std::size_t kMaxKept = 1024;

}  // namespace

Lookup& LookupTable::open(ClientState& client) {
  if (free_.empty()) {
    auto& lookup = slots_.emplace_back();
    lookup.ref.generation = ++last_generation_;
    lookup.ref.slot = static_cast<std::uint32_t>(slots_.size() - 1);
    lookup.client = &client;
    timer_of_.push_back(timers_.end());
    // close() finds room without asking for any.
    if (free_.capacity() < slots_.size()) {
      free_.reserve(2 * slots_.size());
    }
    return lookup;
  }
  auto& lookup = slots_[free_.back()];
  free_.pop_back();
  lookup.client = &client;
  return lookup;
}

Lookup::Waiters LookupTable::close(Lookup& lookup) {
  auto& timer = timer_of_[lookup.ref.slot];
  if (timer != timers_.end()) {
    timers_.erase(std::exchange(timer, timers_.end()));
  }
  auto waiters = std::move(lookup.waiters);
  Lookup cleared;
  cleared.ref = {lookup.ref.slot, ++last_generation_};
  lookup = std::move(cleared);
  free_.push_back(lookup.ref.slot);
  return waiters;
}

void LookupTable::tidy() {
  if (free_.size() == slots_.size() && slots_.size() > kMaxKept) {
    slots_ = std::deque<Lookup>{};
    free_ = std::vector<std::uint32_t>{};
    timer_of_ = std::vector<Timers::iterator>{};
  }
}

Lookup* LookupTable::find(LookupRef ref) noexcept {
  if (ref.slot >= slots_.size()) {
    return nullptr;
  }
  auto& lookup = slots_[ref.slot];
  return lookup.client != nullptr && lookup.ref.generation == ref.generation ? &lookup : nullptr;
}

void LookupTable::wake_at(Lookup& lookup, TimePoint when) {
  auto& timer = timer_of_[lookup.ref.slot];
  if (timer == timers_.end()) {
    timer = timers_.emplace(when, lookup.ref.slot);
    return;
  }
  auto node = timers_.extract(timer);
  node.key() = when;
  timer = timers_.insert(std::move(node));
}

std::optional<LookupTable::TimePoint> LookupTable::next_wake() const noexcept {
  if (timers_.empty()) {
    return std::nullopt;
  }
  return timers_.begin()->first;
}

Lookup* LookupTable::take_due(TimePoint now) noexcept {
  const auto first = timers_.begin();
  if (first == timers_.end() || first->first > now) {
    return nullptr;
  }
  const auto slot = first->second;
  timers_.erase(first);
  timer_of_[slot] = timers_.end();
  return &slots_[slot];
}

}  // namespace caravan
