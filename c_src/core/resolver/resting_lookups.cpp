#include "core/resolver/resting_lookups.hpp"

#include <algorithm>

namespace caravan {

void RestingLookups::add(const Lookup& lookup) {
  for (const auto* channel : lookup.channels) {
    auto& queue = resting_[channel->settings()];
    // Consecutive channels of a lookup may have the same settings. One entry is enough for them.
    if (queue.empty() || queue.back() != lookup.ref) {
      queue.push_back(lookup.ref);
      ++count_;
    }
  }
  if (count_ >= sweep_at_) {
    sweep();
  }
}

bool RestingLookups::release_one(const ChannelSettings& settings) {
  const auto entry = resting_.find(settings);
  if (entry == resting_.end()) {
    return false;
  }
  auto& queue = entry->second;
  while (!queue.empty()) {
    auto* lookup = lookups_.find(queue.front());
    queue.pop_front();
    --count_;
    if (lookup != nullptr && !lookup->slot.is_held() && lookup->release_channels()) {
      return true;
    }
  }
  resting_.erase(entry);
  return false;
}

void RestingLookups::sweep() {
  count_ = 0;
  for (auto& [settings, queue] : resting_) {
    std::erase_if(queue, [this](LookupRef ref) { return lookups_.find(ref) == nullptr; });
    count_ += queue.size();
  }
  std::erase_if(resting_, [](const auto& entry) { return entry.second.empty(); });
  sweep_at_ = std::max(2 * count_, kMinSweep);
}

}  // namespace caravan
