#include "core/resolver/lookup_driver.hpp"

#include <algorithm>
#include <utility>

#include "core/resolver/client_state.hpp"
#include "core/wire/dns_name.hpp"

namespace caravan {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kMaxAttemptTimeout{1000};

// Connections lost under one lookup that count as no try.
constexpr std::uint8_t kMaxLostConnections = 16;

const ClientOptions& options_of(const Lookup& lookup) noexcept { return lookup.client->client->options; }
Stats& stats_of(const Lookup& lookup) noexcept { return lookup.client->client->stats; }

Endpoint endpoint_of(const Lookup& lookup, Attempt attempt) {
  return {(*lookup.nameservers)[attempt.server], attempt.tcp, options_of(lookup).edns_size};
}

}  // namespace

LookupDriver::LookupDriver(LookupTable& lookups, SocketSet& sockets, ResultObserver& results, TimePoint now)
    : lookups_{lookups}, results_{results}, now_{now}, channels_{sockets, *this, now} {}

void LookupDriver::begin(Lookup& lookup) {
  const auto& [name, type] = lookup.inquiry.question;
  if (lookup.search || name.ends_with('.')) {
    for (auto& candidate : search_candidates(name, lookup.search ? *lookup.search : SearchList{})) {
      lookup.candidates.push_back({std::move(candidate), type});
    }
  }
  ask_candidate(lookup);
}

void LookupDriver::ask_candidate(Lookup& lookup) {
  lookup.outstanding = 0;
  lookup.partial.reset();
  const auto tries = milliseconds::rep{options_of(lookup).tries};
  const auto& plan = lookup.plan.emplace(lookup.nameservers->size(), lookup.inquiry.transport, options_of(lookup).tries,
                                         lookup.first_server);
  // TCP may be filtered: at least half of the time is kept for UDP.
  const auto before_fallback = static_cast<milliseconds::rep>(2 * plan.attempts_before_fallback());
  lookup.attempt_timeout =
      std::min(kMaxAttemptTimeout, lookup.waiters.first.timeout / std::max(before_fallback, tries));
  attempt_next(lookup, Cause::kNew);
}

void LookupDriver::attempt_next(Lookup& lookup, Cause cause) {
  if (!lookup.is_wanted()) {
    results_.on_result(lookup, failed_reply(Error::kCancelled));
    return;
  }
  while (const auto attempt = lookup.plan->next()) {
    const auto error = send(lookup, *attempt);
    if (!error) {
      if (cause == Cause::kRetry) {
        stats_of(lookup).count(Counter::kRetries);
      }
      lookups_.wake_at(lookup, std::min(lookup.deadline(), now_ + lookup.attempt_timeout));
      return;
    }
    lookup.plan->fail(*attempt, *error);
  }
  if (lookup.outstanding == 0) {
    candidate_failed(lookup, lookup.plan->error());
    return;
  }
  // A late answer counts until the deadline.
  lookups_.wake_at(lookup, lookup.deadline());
}

std::optional<Error> LookupDriver::send(Lookup& lookup, Attempt attempt) {
  const auto [channel, error] = channels_.get(endpoint_of(lookup, attempt), now_);
  if (channel == nullptr) {
    return error;
  }
  lookup.attempt = attempt;
  lookup.channel = channel;
  lookup.asked = now_;
  ++lookup.outstanding;
  stats_of(lookup).count(Counter::kQueries);
  channel->send(lookup.question(), {lookup.ref, lookup.candidate, attempt}, now_);
  return std::nullopt;
}

Lookup* LookupDriver::find(const QueryToken& token) noexcept {
  auto* lookup = lookups_.find(token.lookup);
  return lookup != nullptr && lookup->candidate == token.candidate ? lookup : nullptr;
}

void LookupDriver::on_reply(QueryToken token, std::span<const std::uint8_t> message, Error failure) noexcept {
  if (const auto* lookup = find(token)) {
    arrivals_.push_back({token, message.empty() ? failed_reply(failure) : decode_reply(message, lookup->question())});
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
  ask_cut_off_again();
  return true;
}

void LookupDriver::handle(Arrival& arrival) {
  auto* lookup = find(arrival.token);
  if (lookup == nullptr) {
    return;
  }
  --lookup->outstanding;
  auto& reply = arrival.reply;
  const auto attempt = arrival.token.attempt;
  if (is_failure(reply)) {
    handle_failure(*lookup, attempt, *reply.error);
  } else if (reply.truncated) {
    if (!reply.error) {
      lookup->partial = std::make_unique<Reply>(std::move(reply));
    }
    lookup->plan->truncated(attempt);
    stats_of(*lookup).count(Counter::kTcpFallbacks);
    attempt_next(*lookup, Cause::kNew);
  } else if (reply.error) {
    candidate_is_negative(*lookup, std::move(reply));
  } else {
    reply.complete = attempt.tcp;
    results_.on_result(*lookup, std::move(reply));
  }
}

void LookupDriver::handle_failure(Lookup& lookup, Attempt attempt, Error error) {
  lookup.plan->fail(attempt, error);
  if (has_lost_connection(lookup, attempt, error)) {
    ++lookup.lost_connections;
    lookup.plan->repeat(attempt);
    cut_off_.emplace_back(lookup.deadline(), lookup.ref);
  } else if (error != Error::kTimeout) {
    attempt_next(lookup, Cause::kRetry);
  }
  // c-ares gives up by time-outs of its own (since 1.32 learnt ones, of 250 ms and more); the pace is ours, and a timer
  // is armed.
}

// Those that began first go first over the next connection: at its end, they would be cut off again.
void LookupDriver::ask_cut_off_again() {
  std::sort(cut_off_.begin(), cut_off_.end());
  for (const auto& [deadline, ref] : std::exchange(cut_off_, {})) {
    if (auto* lookup = lookups_.find(ref)) {
      attempt_next(*lookup, Cause::kRetry);
    }
  }
}

void LookupDriver::wake(Lookup& lookup) {
  if (lookup.deadline() > now_) {
    give_up_silent_channel(lookup);
    attempt_next(lookup, Cause::kRetry);
  } else if (lookup.partial) {
    results_.on_result(lookup, std::move(*lookup.partial));
  } else {
    results_.on_result(lookup, failed_reply(lookup.plan ? lookup.plan->error() : Error::kTimeout));
  }
}

// A nameserver may close a connection at any time, and many do after so many questions; those that it has not read, and
// answers that we have not, go with it, and are to be asked for again (RFC 7766, section 6.2.4).
bool LookupDriver::has_lost_connection(const Lookup& lookup, Attempt attempt, Error error) const {
  return error == Error::kConnrefused && attempt.tcp && lookup.lost_connections < kMaxLostConnections &&
         channels_.answered_lately(endpoint_of(lookup, attempt), lookup.channel, now_);
}

// A network that was away, or a nameserver that has moved behind the same address, can leave a socket from which
// nothing comes back, for as long as the kernel, or a NAT on the way, remembers it.
void LookupDriver::give_up_silent_channel(const Lookup& lookup) {
  if (lookup.channel == nullptr) {
    return;
  }
  if (channels_.retire(endpoint_of(lookup, lookup.attempt), lookup.channel, lookup.asked, now_)) {
    stats_of(lookup).count(Counter::kChannelRebuilds);
  }
}

void LookupDriver::candidate_failed(Lookup& lookup, Error error) {
  if (lookup.partial) {
    results_.on_result(lookup, std::move(*lookup.partial));
    return;
  }
  if (!lookup.candidate_error) {
    lookup.candidate_error = error;
  }
  next_candidate(lookup);
}

void LookupDriver::candidate_is_negative(Lookup& lookup, Reply reply) {
  // A name of the search list that exists without such records says more than one that does not exist.
  if (!lookup.negative || reply.error == Error::kNodata) {
    lookup.negative = std::make_unique<Reply>(std::move(reply));
  }
  next_candidate(lookup);
}

void LookupDriver::next_candidate(Lookup& lookup) {
  if (++lookup.candidate < lookup.candidates.size()) {
    ask_candidate(lookup);
  } else if (lookup.candidate_error) {
    // "There is none" needs every candidate's word.
    results_.on_result(lookup, failed_reply(*lookup.candidate_error));
  } else {
    results_.on_result(lookup, std::move(*lookup.negative));
  }
}

}  // namespace caravan
