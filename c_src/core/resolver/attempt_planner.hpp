#pragma once

#include <cstddef>

#include "core/resolver/attempt_plan.hpp"
#include "core/resolver/channel_pool.hpp"
#include "core/resolver/endpoint_memory.hpp"
#include "core/resolver/lookup.hpp"

namespace caravan {

// How the nameservers of a lookup are asked, by what they have answered lately. Those that are silent get questions
// of their own now and then, so that it is known when they are back. Owned by one thread.
class AttemptPlanner {
 public:
  using TimePoint = Lookup::TimePoint;

  AttemptPlanner(EndpointMemory& endpoints, ChannelPool& channels) noexcept
      : endpoints_{endpoints}, channels_{channels} {}

  // For the candidate that is asked now: over TCP only if it may bring something, and those that are silent last.
  AttemptPlan plan(const Lookup& lookup, TimePoint now);

  // How the attempt goes out: with EDNS if that may be answered.
  ChannelSettings settings(const Lookup& lookup, Attempt attempt, TimePoint now);

  // When what was asked last is asked again, if nothing comes.
  TimePoint next_try(const Lookup& lookup, TimePoint now);

  // Asks a nameserver that is silent whether it is back. No lookup waits for what it says; its record does.
  void probe(const Lookup& lookup, std::size_t server, bool tcp, TimePoint now);

 private:
  void put_silent_last(const Lookup& lookup, AttemptPlan& plan, TimePoint now);

  EndpointMemory& endpoints_;
  ChannelPool& channels_;
};

}  // namespace caravan
