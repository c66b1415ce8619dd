#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <vector>

#include "core/resolver/channel_pool.hpp"
#include "core/resolver/lookup.hpp"

namespace caravan {

// The lookups whose connection ended before their reply came. A nameserver may close a connection at any time, and many
// do so after a number of questions. Questions that it has not read, and replies in transit, are lost with it, and the
// client must ask again (RFC 7766, section 6.2.4). One thread owns it.
class LostConnections {
 public:
  using TimePoint = Lookup::TimePoint;

  explicit LostConnections(const ChannelPool& channels) noexcept : channels_{channels} {}

  // Returns whether the attempt failed with `error` only because a working connection ended. It does not count as a try
  // then.
  bool is_cut_off(const Lookup& lookup, Attempt attempt, Error error, TimePoint now) const;

  void add(Lookup& lookup);
  struct CutOff {
    TimePoint deadline;
    LookupRef lookup;
    std::uint16_t candidate = 0;

    auto operator<=>(const CutOff&) const = default;
  };
  // Removes and returns the lookups that were added, each once and the earliest deadline first. In this order they are
  // asked again over the next connection, whose end would again cut off those that come last.
  std::vector<CutOff> take();

 private:
  const ChannelPool& channels_;
  std::vector<CutOff> cut_off_;
};

}  // namespace caravan
