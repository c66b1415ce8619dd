#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <vector>

#include "core/resolver/channel_pool.hpp"
#include "core/resolver/lookup.hpp"

namespace caravan {

// Lookups whose questions were cut off. A nameserver may close a connection at any time, and many do after so many
// questions; those that it has not read, and answers that we have not, go with it, and are to be asked for again (RFC
// 7766, section 6.2.4). Owned by one thread.
class LostConnections {
 public:
  using TimePoint = Lookup::TimePoint;

  explicit LostConnections(const ChannelPool& channels) noexcept : channels_{channels} {}

  // Whether the attempt, which has failed with `error`, was cut off and counts as no try.
  bool has_lost_one(const Lookup& lookup, Attempt attempt, Error error, TimePoint now) const;

  void add(Lookup& lookup);
  struct CutOff {
    TimePoint deadline;
    LookupRef lookup;
    std::uint16_t candidate = 0;

    auto operator<=>(const CutOff&) const = default;
  };
  // Gives those that were added, each once, and forgets them. The ones that began first go first over the next
  // connection: at its end, they would be cut off again.
  std::vector<CutOff> take();

 private:
  const ChannelPool& channels_;
  std::vector<CutOff> cut_off_;
};

}  // namespace caravan
