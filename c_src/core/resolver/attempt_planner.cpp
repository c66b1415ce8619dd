#include "core/resolver/attempt_planner.hpp"

#include <cstdint>

#include "core/resolver/client_state.hpp"
#include "core/resolver/pace.hpp"

namespace caravan {

// If no nameserver of the lookup answers over TCP, lookups do not wait for it each time, and a probe finds out when one
// does again.
AttemptPlan AttemptPlanner::plan(const Lookup& lookup, TimePoint now) {
  const auto& nameservers = *lookup.nameservers;
  auto transport = lookup.inquiry.transport;
  if (transport == Transport::kTcpFirst && endpoints_.is_tcp_given_up(nameservers)) {
    transport = Transport::kUdp;
    for (std::size_t server = 0; server < nameservers.size(); ++server) {
      probe(lookup, server, true, now);
    }
  }
  AttemptPlan plan{nameservers.size(), transport, lookup.client->client->options.tries, lookup.first_server};
  put_silent_last(lookup, plan, now);
  return plan;
}

void AttemptPlanner::put_silent_last(const Lookup& lookup, AttemptPlan& plan, TimePoint now) {
  const auto count = lookup.nameservers->size();
  const bool tcp = plan.is_over_tcp();
  const auto silent = endpoints_.silent(*lookup.nameservers, tcp);
  if (silent.count() == count) {
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    const auto server = (lookup.first_server + i) % count;
    if (silent[server]) {
      plan.put_last(static_cast<std::uint8_t>(server));
      probe(lookup, server, tcp, now);
    }
  }
}

ChannelSettings AttemptPlanner::settings(const Lookup& lookup, Attempt attempt, TimePoint now) {
  const auto& [server, tcp] = attempt;
  const auto& nameserver = (*lookup.nameservers)[server];
  if (tcp) {
    return {{nameserver, tcp}, 0, false};
  }
  const auto& options = lookup.client->client->options;
  const bool without_edns = lookup.edns.is_without(server) || endpoints_.of({nameserver, false}).edns().is_missing(now);
  return {{nameserver, tcp}, without_edns ? std::uint16_t{0} : options.edns_size, options.mixed_case};
}

// Over TCP the kernel retransmits, so a question is repeated early only if the connection may be stale.
AttemptPlanner::TimePoint AttemptPlanner::next_try(const Lookup& lookup, TimePoint now) {
  const auto& [server, tcp] = lookup.attempt;
  if (tcp && !lookup.connection_may_be_stale) {
    return now + lookup.attempt_timeout;
  }
  return now + pace::retry_delay(lookup.attempt_timeout,
                                 endpoints_.of({(*lookup.nameservers)[server], tcp}).retransmission_timeout());
}

void AttemptPlanner::probe(const Lookup& lookup, std::size_t server, bool tcp, TimePoint now) {
  if (!endpoints_.of({(*lookup.nameservers)[server], tcp}).is_probe_due(now)) {
    return;
  }
  const Attempt attempt{static_cast<std::uint8_t>(server), tcp};
  const auto to = settings(lookup, attempt, now);
  auto* channel = channels_.get(to, now).channel;
  // The last probe has no reply either, so the connection may be stale.
  if (channel != nullptr && channel->in_flight() > 0 && channels_.retire(to, channel, now, now)) {
    channel = channels_.get(to, now).channel;
  }
  if (channel != nullptr) {
    lookup.client->client->stats.count(Counter::kQueries);
    channel->send(lookup.question(), {kNoLookup, 0, attempt, now}, now);
    channel->abandon();
  }
}

}  // namespace caravan
