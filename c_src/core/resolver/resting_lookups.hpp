#pragma once

#include <cstddef>
#include <deque>
#include <map>

#include "core/resolver/channel.hpp"
#include "core/resolver/lookup.hpp"

namespace caravan {

// Lookups that have no question in flight, but may get a late answer: those that have used up their tries, and those
// that wait for their turn. They let go of their channels where others need them: a late answer is worth less than a
// question that is not asked. Owned by one thread.
class RestingLookups {
 public:
  explicit RestingLookups(LookupTable& lookups) noexcept : lookups_{lookups} {}

  // To be called each time it begins to rest.
  void add(const Lookup& lookup);

  // The lookup that has rested longest of those with channels with these settings lets go of its channels. Returns
  // false if there is none.
  bool release_one(const ChannelSettings& settings);

 private:
  static constexpr std::size_t kMinSweep = 1024;

  void sweep();

  LookupTable& lookups_;
  // The first one first, and some that have ended since, or have let go.
  std::map<ChannelSettings, std::deque<LookupRef>> resting_;
  std::size_t count_ = 0;
  std::size_t sweep_at_ = kMinSweep;
};

}  // namespace caravan
