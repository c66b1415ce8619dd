#pragma once

#include <cstddef>

#include "core/resolver/attempt_plan.hpp"
#include "core/resolver/channel_pool.hpp"
#include "core/resolver/endpoint_memory.hpp"
#include "core/resolver/lookup.hpp"

namespace caravan {

// Decides how the nameservers of a lookup are asked, by how they have answered lately. Probes the silent ones from time
// to time, to find out when they are back. One thread owns it.
class AttemptPlanner {
 public:
  using TimePoint = Lookup::TimePoint;

  AttemptPlanner(EndpointMemory& endpoints, ChannelPool& channels) noexcept
      : endpoints_{endpoints}, channels_{channels} {}

  // Returns the plan for the current candidate: over TCP only if a nameserver may answer over it, and with the silent
  // nameservers last. Probes the nameservers that the plan avoids.
  AttemptPlan plan(const Lookup& lookup, TimePoint now);

  // Returns the settings of the channel for an attempt. They include EDNS unless the nameserver is known not to support
  // it.
  ChannelSettings settings(const Lookup& lookup, Attempt attempt, TimePoint now);

  // Returns when the last question is asked again if no reply comes.
  TimePoint next_try(const Lookup& lookup, TimePoint now);

  // Asks a silent nameserver the question of the lookup, if a probe is due. No lookup waits for the reply, which only
  // ends the silence in the EndpointRecord.
  void probe(const Lookup& lookup, std::size_t server, bool tcp, TimePoint now);

 private:
  void put_silent_last(const Lookup& lookup, AttemptPlan& plan, TimePoint now);

  EndpointMemory& endpoints_;
  ChannelPool& channels_;
};

}  // namespace caravan
