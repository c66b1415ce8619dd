#pragma once

#include <cstddef>
#include <deque>
#include <map>

#include "core/resolver/channel.hpp"
#include "core/resolver/lookup.hpp"

namespace caravan {

// Lookups that have no question in flight but may still get a late reply: those that have used up their tries, and
// those that wait for a slot or a channel. They release their channels when other lookups need them, because a question
// that cannot be sent costs more than a late reply that is lost. One thread owns it.
class RestingLookups {
 public:
  explicit RestingLookups(LookupTable& lookups) noexcept : lookups_{lookups} {}

  // Adds a lookup. Must be called each time that it begins to rest.
  void add(const Lookup& lookup);

  // Makes the lookup that has rested longest, of those with a channel with these settings, release all its channels.
  // Returns false if no lookup has one.
  bool release_one(const ChannelSettings& settings);

 private:
  static constexpr std::size_t kMinSweep = 1024;

  void sweep();

  LookupTable& lookups_;
  // In the order in which they began to rest. Some have ended or released their channels since.
  std::map<ChannelSettings, std::deque<LookupRef>> resting_;
  std::size_t count_ = 0;
  std::size_t sweep_at_ = kMinSweep;
};

}  // namespace caravan
