#include "core/resolver/lookup_driver.hpp"

#include <algorithm>
#include <utility>

#include "core/resolver/client_state.hpp"
#include "core/resolver/pace.hpp"
#include "core/wire/dns_name.hpp"

namespace caravan {
namespace {

Stats& stats_of(const Lookup& lookup) noexcept { return lookup.client->client->stats; }

}  // namespace

LookupDriver::LookupDriver(LookupTable& lookups, SocketSet& sockets, ResultObserver& results, TimePoint now)
    : lookups_{lookups},
      results_{results},
      now_{now},
      resting_{lookups},
      admission_{lookups, endpoints_},
      channels_{sockets, *this, now},
      planner_{endpoints_, channels_},
      lost_{channels_} {}

void LookupDriver::begin(Lookup& lookup) {
  const auto& [name, type] = lookup.inquiry.question;
  if (lookup.search || name.ends_with('.')) {
    for (auto& candidate : search_candidates(name, lookup.search ? *lookup.search : SearchList{})) {
      lookup.candidates.push_back({std::move(candidate), type});
    }
  }
  ask_candidate(lookup);
}

void LookupDriver::end(Lookup& lookup) noexcept {
  lookup.release_channels();
  Admission::leave(lookup);
}

void LookupDriver::ask_candidate(Lookup& lookup) {
  lookup.release_channels();
  lookup.outstanding = 0;
  lookup.partial.reset();
  lookup.plan = planner_.plan(lookup, now_);
  const auto over_tcp = lookup.plan->attempts_before_fallback();
  const auto round_trip =
      lookup.plan->is_over_tcp() ? record_of(lookup, lookup.first_server, true).round_trip() : std::nullopt;
  lookup.attempt_timeout = pace::attempt_timeout(lookup.waiters.first.timeout, lookup.client->client->options.tries,
                                                 over_tcp, round_trip.value_or(pace::Duration::zero()));
  lookup.asked = {};
  lookup.is_retry = false;
  ask(lookup);
}

EndpointRecord& LookupDriver::record_of(const Lookup& lookup, std::size_t server, bool tcp) {
  return endpoints_.of({(*lookup.nameservers)[server], tcp});
}

// Gives up the slot of the last attempt and makes the next one.
void LookupDriver::attempt_next(Lookup& lookup, Cause cause) {
  Admission::leave(lookup);
  lookup.is_retry = cause == Cause::kRetry;
  ask(lookup);
}

// Makes the next attempt of the plan, or waits for a slot or a channel.
void LookupDriver::ask(Lookup& lookup) {
  if (!lookup.is_wanted()) {
    results_.on_result(lookup, failed_reply(Error::kCancelled));
    return;
  }
  lookup.waits = Lookup::Wait::kForReply;
  while (const auto attempt = lookup.plan->next()) {
    const auto settings = planner_.settings(lookup, *attempt, now_);
    if (!admission_.enter(lookup, settings.endpoint, now_)) {
      await_turn(lookup, settings.endpoint);
      return;
    }
    const auto error = send(lookup, *attempt, settings);
    if (error == Error::kOverload) {
      // If waiting lookups kept the channels of earlier questions, all of them might wait for each other.
      lookup.release_channels();
      admission_.block(settings.endpoint);
      await_turn(lookup, settings.endpoint);
      return;
    }
    if (!error) {
      if (lookup.is_retry) {
        stats_of(lookup).count(Counter::kRetries);
      }
      lookups_.wake_at(lookup, std::min(lookup.deadline(), planner_.next_try(lookup, now_)));
      return;
    }
    lookup.plan->fail(*attempt, *error);
  }
  Admission::leave(lookup);
  // All TCP attempts have failed, so the answer over UDP is the best there is.
  if (lookup.outstanding == 0 || lookup.partial) {
    candidate_failed(lookup, lookup.plan->error());
  } else {
    rest(lookup);
  }
}

// Waiting for a slot or a channel does not count as an attempt.
void LookupDriver::await_turn(Lookup& lookup, const Endpoint& endpoint) {
  lookup.plan->put_back();
  lookup.waits = Lookup::Wait::kForTurn;
  admission_.wait(lookup, endpoint);
  resting_.add(lookup);
  lookups_.wake_at(lookup, lookup.deadline());
}

void LookupDriver::admit() {
  for (const auto unwanted : admission_.find_unwanted(now_)) {
    if (auto* lookup = lookups_.find(unwanted)) {
      results_.on_result(*lookup, failed_reply(Error::kCancelled));
    }
  }
  while (auto* lookup = admission_.admit(now_)) {
    resume(*lookup);
  }
}

// Nameservers may have changed while the lookup waited, so it gets a new plan, unless part of the old one has failed.
void LookupDriver::resume(Lookup& lookup) {
  if (lookup.asked == TimePoint{} && lookup.plan->error() == Error::kTimeout) {
    ask_candidate(lookup);
  } else if (lookup.partial && endpoints_.is_tcp_given_up((*lookup.nameservers)[lookup.attempt.server])) {
    candidate_failed(lookup, Error::kTimeout);
  } else {
    ask(lookup);
  }
}

// Waits for a late reply until the deadline. Asks once more after a pause if all nameservers were silent, since one may
// be back by then. A nameserver that reported an error would report it again.
void LookupDriver::rest(Lookup& lookup) {
  resting_.add(lookup);
  const auto over = now_ + pace::pause(lookup.waiters.first.timeout, lookup.attempt_timeout);
  const bool pauses = lookup.plan->error() == Error::kTimeout && over < lookup.deadline();
  lookup.waits = pauses ? Lookup::Wait::kForPause : Lookup::Wait::kForReply;
  lookups_.wake_at(lookup, pauses ? over : lookup.deadline());
}

// If all channels are full, resting lookups release theirs, because new questions matter more than late replies.
ChannelPool::Choice LookupDriver::get_channel(const ChannelSettings& settings) {
  auto choice = channels_.get(settings, now_);
  while (choice.error == Error::kOverload && resting_.release_one(settings)) {
    choice = channels_.get(settings, now_);
  }
  return choice;
}

// Queues behind the lookups that have tries left.
void LookupDriver::ask_again(Lookup& lookup) {
  Admission::renew(lookup);
  lookup.plan->add_round();
  attempt_next(lookup, Cause::kRetry);
}

void LookupDriver::tend() {
  channels_.tend(now_);
  admission_.unblock();
}

std::optional<Error> LookupDriver::send(Lookup& lookup, Attempt attempt, const ChannelSettings& settings) {
  const auto [channel, error] = get_channel(settings);
  if (channel == nullptr) {
    return error;
  }
  lookup.attempt = attempt;
  lookup.settings = settings;
  lookup.channel = channel;
  lookup.asked = now_;
  if (attempt.tcp) {
    lookup.tcp_given_up = now_ + 2 * lookup.attempt_timeout;
  }
  ++lookup.outstanding;
  lookup.channels.push_back(channel);
  stats_of(lookup).count(Counter::kQueries);
  endpoints_.of(channel->settings().endpoint).on_question(now_);
  channel->send(lookup.question(), {lookup.ref, lookup.candidate, attempt, now_}, now_);
  lookup.connection_may_be_stale = attempt.tcp && channel->may_be_stale();
  return std::nullopt;
}

Lookup* LookupDriver::find(LookupRef ref, std::uint16_t candidate) noexcept {
  auto* lookup = lookups_.find(ref);
  return lookup != nullptr && lookup->candidate == candidate ? lookup : nullptr;
}

bool LookupDriver::on_reply(const Channel& channel, QueryToken token, std::span<const std::uint8_t> message,
                            Error failure) noexcept {
  auto& record = endpoints_.of(channel.settings().endpoint);
  if (!message.empty()) {
    record.on_reply(token.asked, now_);
    channels_.restore(channel);
  } else if (failure == Error::kConnrefused && now_ - token.asked >= pace::kMinRetry) {
    // A refusal that takes this long comes from a proxy without a server behind it, or means that the host is down. A
    // nameserver that is up refuses at once.
    record.on_timeout(now_);
  }
  auto* lookup = find(token.lookup, token.candidate);
  if (lookup == nullptr) {
    return false;
  }
  const auto entry = std::find(lookup->channels.begin(), lookup->channels.end(), &channel);
  const bool is_awaited = entry != lookup->channels.end();
  if (is_awaited) {
    lookup->channels.erase(entry);
  } else if (message.empty()) {
    // The lookup has given this channel up, so the end of the channel does not mean that the nameserver failed.
    return false;
  }
  auto reply = message.empty() ? failed_reply(failure) : decode_reply(message, lookup->question());
  // Other clients would read only this part of the reply, and repeat the question over TCP.
  reply.truncated |= !is_failure(reply) && message.size() > channel.settings().largest_reply();
  const bool had_edns = channel.settings().edns_size > 0;
  if (!message.empty() && !channel.settings().endpoint.tcp && reply.error != Error::kFormerr) {
    lookup->edns.on_reply(token.attempt.server, had_edns, record.edns(), now_);
  }
  arrivals_.push_back({token, std::move(reply), is_awaited, had_edns});
  return is_awaited;
}

// A nameserver without EDNS replies FORMERR (RFC 6891, section 7). Asking it again without EDNS counts as no try.
bool LookupDriver::asks_without_edns(Lookup& lookup, const Arrival& arrival) {
  const auto attempt = arrival.token.attempt;
  if (arrival.reply.error != Error::kFormerr || !arrival.had_edns || !lookup.edns.on_refusal(attempt.server)) {
    return false;
  }
  lookup.plan->repeat(attempt);
  stats_of(lookup).count(Counter::kEdnsFallbacks);
  attempt_next(lookup, Cause::kRetry);
  return true;
}

void LookupDriver::note_silence_with_edns(Lookup& lookup) {
  const auto server = lookup.attempt.server;
  if (lookup.settings.edns_size > 0 && lookup.edns.on_silence(server, record_of(lookup, server, false).edns())) {
    stats_of(lookup).count(Counter::kEdnsFallbacks);
  }
}

bool LookupDriver::handle_replies() {
  if (arrivals_.empty()) {
    return false;
  }
  std::swap(arrivals_, handled_);
  for (auto& arrival : handled_) {
    handle(arrival);
  }
  handled_.clear();
  for (const auto& cut_off : lost_.take()) {
    if (auto* lookup = find(cut_off.lookup, cut_off.candidate)) {
      attempt_next(*lookup, Cause::kRetry);
    }
  }
  admission_.unblock();
  return true;
}

void LookupDriver::handle(Arrival& arrival) {
  auto* lookup = find(arrival.token.lookup, arrival.token.candidate);
  if (lookup == nullptr) {
    return;
  }
  lookup->outstanding -= arrival.is_awaited ? 1 : 0;
  auto& reply = arrival.reply;
  const auto attempt = arrival.token.attempt;
  if (asks_without_edns(*lookup, arrival)) {
    return;
  }
  if (is_failure(reply)) {
    handle_failure(*lookup, attempt, *reply.error);
  } else if (reply.truncated) {
    handle_truncated(*lookup, attempt, std::move(reply));
  } else if (reply.error) {
    next_candidate(*lookup, std::move(reply));
  } else {
    handle_answer(*lookup, attempt, std::move(reply));
  }
}

void LookupDriver::handle_truncated(Lookup& lookup, Attempt attempt, Reply&& reply) {
  const bool has_records = !reply.error;
  if (has_records) {
    lookup.partial = std::make_unique<Reply>(std::move(reply));
  }
  if (has_records && endpoints_.is_tcp_given_up((*lookup.nameservers)[attempt.server])) {
    planner_.probe(lookup, attempt.server, true, now_);
    candidate_failed(lookup, Error::kTimeout);
    return;
  }
  lookup.plan->truncated(attempt);
  stats_of(lookup).count(Counter::kTcpFallbacks);
  attempt_next(lookup, Cause::kNew);
}

void LookupDriver::handle_answer(Lookup& lookup, Attempt attempt, Reply&& reply) {
  reply.complete = attempt.tcp && !reply.at_limit;
  if (!attempt.tcp && lookup.awaits_tcp() && now_ < lookup.tcp_given_up) {
    lookup.partial = std::make_unique<Reply>(std::move(reply));
    lookup.waits = Lookup::Wait::kForTcp;
    Admission::leave(lookup);
    lookups_.wake_at(lookup, std::min(lookup.deadline(), lookup.tcp_given_up));
    return;
  }
  results_.on_result(lookup, std::move(reply));
}

void LookupDriver::handle_failure(Lookup& lookup, Attempt attempt, Error error) {
  lookup.plan->fail(attempt, error);
  if (lookup.waits == Lookup::Wait::kForTcp) {
    if (!lookup.awaits_tcp()) {
      candidate_failed(lookup, error);
    }
    return;
  }
  if (lost_.is_cut_off(lookup, attempt, error, now_)) {
    record_of(lookup, attempt.server, true).on_cut_off(now_);
    lookup.plan->repeat(attempt);
    lost_.add(lookup);
  } else if (error != Error::kTimeout && lookup.waits != Lookup::Wait::kForTurn) {
    attempt_next(lookup, Cause::kRetry);
  }
  // A time-out of c-ares is ignored, because the timer of the lookup decides when to ask again.
}

// Records a time-out for each endpoint that has an unanswered question of the lookup.
void LookupDriver::note_silence(const Lookup& lookup) {
  for (const auto* channel : lookup.channels) {
    endpoints_.of(channel->settings().endpoint).on_timeout(now_);
  }
}

void LookupDriver::wake(Lookup& lookup) {
  note_silence(lookup);
  if (lookup.waits == Lookup::Wait::kForPause) {
    ask_again(lookup);
  } else if (std::exchange(lookup.connection_may_be_stale, false) && lookup.deadline() > now_) {
    ask_over_new_connection(lookup);
  } else if (lookup.waits != Lookup::Wait::kForTcp && lookup.deadline() > now_) {
    give_up_silent_channel(lookup);
    note_silence_with_edns(lookup);
    lookup.plan->time_out(lookup.attempt);
    attempt_next(lookup, Cause::kRetry);
  } else if (lookup.partial) {
    give_partial(lookup);
  } else {
    results_.on_result(lookup, failed_reply(lookup.plan ? lookup.plan->error() : Error::kTimeout));
  }
}

// After a network outage, or when the nameserver has moved behind its address, a socket may receive no replies for as
// long as the kernel or a NAT keeps its state. So the next question goes over another channel.
void LookupDriver::give_up_silent_channel(const Lookup& lookup) {
  // Without this check, `lookup.channel` could be another channel at the same address.
  if (std::find(lookup.channels.begin(), lookup.channels.end(), lookup.channel) == lookup.channels.end()) {
    return;
  }
  if (channels_.retire(lookup.settings, lookup.channel, lookup.asked, now_)) {
    stats_of(lookup).count(Counter::kChannelRebuilds);
  }
}

// Keeps the connection if something has come over it meanwhile: the nameserver is slow then.
void LookupDriver::ask_over_new_connection(Lookup& lookup) {
  give_up_silent_channel(lookup);
  if (channels_.is_usable(lookup.settings, lookup.channel)) {
    lookups_.wake_at(lookup, std::min(lookup.deadline(), lookup.asked + lookup.attempt_timeout));
  } else {
    lookup.plan->repeat(lookup.attempt);
    attempt_next(lookup, Cause::kRetry);
  }
}

void LookupDriver::candidate_failed(Lookup& lookup, Error error) {
  if (lookup.partial) {
    give_partial(lookup);
  } else {
    next_candidate(lookup, failed_reply(error));
  }
}

void LookupDriver::next_candidate(Lookup& lookup, Reply&& reply) {
  Admission::leave(lookup);
  lookup.verdict.add(std::move(reply));
  if (++lookup.candidate < lookup.candidates.size()) {
    ask_candidate(lookup);
  } else {
    results_.on_result(lookup, lookup.verdict.take());
  }
}

}  // namespace caravan
