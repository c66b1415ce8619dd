#include "core/worker.hpp"

#include <algorithm>
#include <utility>

#include "core/dns_name.hpp"

namespace caravan {
namespace {

using std::chrono::milliseconds;

// Lookups on the wire at a time for one nameserver; the others wait their turn. As many replies of kMaxEdnsSize fit
// into the receive buffer of one socket, of which Linux grants twice what is asked for and charges twice the size of a
// reply.
constexpr std::size_t kMaxActive = 48;

// Times each nameserver is asked over a transport before the lookup fails.
constexpr unsigned kTries = 3;
constexpr milliseconds kMaxAttemptTimeout{1000};

}  // namespace

Worker::Worker(Resolver& resolver, WakePipe& wake)
    : resolver_{resolver},
      wake_{wake},
      now_{Clock::now()},
      sockets_{wake.read_end()},
      channels_{sockets_, *this, now_} {}

void Worker::run() noexcept {
  Resolver::Inbox inbox;
  while (true) {
    wake_.drain();
    resolver_.exchange(inbox, std::exchange(ended_, 0));
    now_ = Clock::now();
    for (auto& request : inbox.requests) {
      accept(request);
    }
    if (inbox.stop) {
      finish_all(Error::kClosed);
      return;
    }
    settle();
    fire_timers();
    settle();
    // Callers that are refused for overload wake nobody, so what has ended is reported before a long wait.
    const auto patience = ended_ > 0 ? milliseconds{0} : time_to_wait();
    for (const auto& ready : sockets_.wait(patience)) {
      ready.channel->process(ready);
    }
    now_ = Clock::now();
    channels_.tend(now_);
    settle();
  }
}

void Worker::accept(LookupRequest& request) {
  auto& lookup = lookups_.open();
  lookup.receiver = std::move(request.receiver);
  lookup.question = std::move(request.question);
  lookup.nameservers = std::move(request.options.nameservers);
  lookup.transport = request.options.transport;
  lookup.timeout = request.options.timeout;
  lookup.deadline = request.deadline;
  if (!lookup.nameservers) {
    use_system_config(lookup);
  }
  if (lookup.nameservers->empty()) {
    finish(lookup, failed_reply(Error::kConnrefused));
    return;
  }
  lookups_.wake_at(lookup, lookup.deadline);
  lanes_[lookup.nameservers->front()].waiting.push_back({lookup.slot, lookup.generation});
}

void Worker::use_system_config(Lookup& lookup) {
  const auto system = system_.get(now_);
  lookup.nameservers = {system, &system->nameservers};
  lookup.search = {system, &system->search};
}

// Brings everything to rest: replies may end lookups, ended lookups admit others, and those may be answered at once.
void Worker::settle() {
  admit();
  while (!completions_.empty()) {
    auto completions = std::exchange(completions_, {});
    for (auto& completion : completions) {
      complete(completion);
    }
    admit();
  }
}

void Worker::admit() {
  for (auto& [nameserver, lane] : lanes_) {
    admit(lane);
  }
  std::erase_if(lanes_, [](const auto& entry) { return entry.second.active == 0 && entry.second.waiting.empty(); });
}

void Worker::admit(Lane& lane) {
  while (lane.active < kMaxActive && !lane.waiting.empty()) {
    const auto [slot, generation] = lane.waiting.front();
    lane.waiting.pop_front();
    if (auto* lookup = lookups_.find(slot, generation)) {
      lookup->active = true;
      ++lane.active;
      begin(*lookup);
    }
  }
}

void Worker::begin(Lookup& lookup) {
  if (!lookup.receiver->is_waiting()) {
    finish(lookup, failed_reply(Error::kCancelled));
    return;
  }
  if (!is_dns_name(lookup.question.name)) {
    finish(lookup, failed_reply(Error::kBadname));
    return;
  }
  lookup.candidates = search_candidates(lookup.question.name, lookup.search ? *lookup.search : SearchList{});
  ask_candidate(lookup);
}

void Worker::ask_candidate(Lookup& lookup) {
  lookup.question.name = lookup.candidates[lookup.candidate];
  lookup.outstanding = 0;
  lookup.partial.reset();
  const auto& plan = lookup.plan.emplace(lookup.nameservers->size(), lookup.transport, kTries);
  // TCP may be filtered: at least half of the time is kept for UDP.
  const auto before_fallback = static_cast<milliseconds::rep>(2 * plan.attempts_before_fallback());
  lookup.attempt_timeout =
      std::min(kMaxAttemptTimeout, lookup.timeout / std::max<milliseconds::rep>(before_fallback, kTries));
  attempt_next(lookup);
}

void Worker::attempt_next(Lookup& lookup) {
  if (!lookup.receiver->is_waiting()) {
    finish(lookup, failed_reply(Error::kCancelled));
    return;
  }
  while (const auto attempt = lookup.plan->next()) {
    const auto error = send(lookup, *attempt);
    if (!error) {
      lookups_.wake_at(lookup, std::min(lookup.deadline, now_ + lookup.attempt_timeout));
      return;
    }
    lookup.plan->fail(*attempt, *error);
  }
  if (lookup.outstanding == 0) {
    candidate_failed(lookup, lookup.plan->error());
    return;
  }
  // A late answer counts until the deadline.
  lookups_.wake_at(lookup, lookup.deadline);
}

std::optional<Error> Worker::send(Lookup& lookup, Attempt attempt) {
  auto* channel = channels_.get({(*lookup.nameservers)[attempt.server], attempt.tcp});
  if (channel == nullptr) {
    return Error::kSystem;
  }
  const bool sent = channel->send(
      lookup.question, {lookup.slot, lookup.generation, lookup.candidate, attempt.server, attempt.tcp}, now_);
  if (!sent) {
    return Error::kOverload;
  }
  ++lookup.outstanding;
  return std::nullopt;
}

void Worker::on_reply(QueryToken token, std::span<const std::uint8_t> message, Error failure) noexcept {
  const auto* lookup = lookups_.find(token.slot, token.generation);
  if (lookup == nullptr || lookup->candidate != token.candidate) {
    return;
  }
  completions_.push_back({token, message.empty() ? failed_reply(failure) : decode_reply(message, lookup->question)});
}

void Worker::complete(Completion& completion) {
  const auto& token = completion.token;
  auto* lookup = lookups_.find(token.slot, token.generation);
  if (lookup == nullptr || lookup->candidate != token.candidate) {
    return;
  }
  --lookup->outstanding;
  auto& reply = completion.reply;
  const Attempt attempt{token.server, token.tcp};
  if (reply.error && !is_negative_answer(*reply.error)) {
    lookup->plan->fail(attempt, *reply.error);
    // c-ares gives up by time-outs of its own (since 1.32 learnt ones, of 250 ms and more); the pace is ours, and a
    // timer is armed.
    if (*reply.error != Error::kTimeout) {
      attempt_next(*lookup);
    }
  } else if (reply.truncated) {
    if (!reply.error) {
      lookup->partial = std::move(reply);
    }
    lookup->plan->truncated(attempt);
    attempt_next(*lookup);
  } else if (reply.error) {
    candidate_is_negative(*lookup, std::move(reply));
  } else {
    reply.complete = token.tcp;
    finish(*lookup, reply);
  }
}

void Worker::candidate_failed(Lookup& lookup, Error error) {
  if (lookup.partial) {
    finish(lookup, *lookup.partial);
    return;
  }
  if (!lookup.candidate_error) {
    lookup.candidate_error = error;
  }
  next_candidate(lookup);
}

void Worker::candidate_is_negative(Lookup& lookup, Reply reply) {
  // A name of the search list that exists without such records says more than one that does not exist.
  if (!lookup.negative || reply.error == Error::kNodata) {
    lookup.negative = std::move(reply);
  }
  next_candidate(lookup);
}

void Worker::next_candidate(Lookup& lookup) {
  if (++lookup.candidate < lookup.candidates.size()) {
    ask_candidate(lookup);
  } else if (lookup.candidate_error) {
    // "There is none" needs every candidate's word.
    finish(lookup, failed_reply(*lookup.candidate_error));
  } else {
    finish(lookup, *lookup.negative);
  }
}

void Worker::fire_timers() {
  while (auto* lookup = lookups_.take_due(now_)) {
    if (lookup->deadline > now_) {
      attempt_next(*lookup);
    } else if (lookup->partial) {
      finish(*lookup, *lookup->partial);
    } else {
      finish(*lookup, failed_reply(lookup->plan ? lookup->plan->error() : Error::kTimeout));
    }
  }
}

void Worker::finish(Lookup& lookup, const Reply& reply) {
  // `reply` may be part of the lookup: it is delivered before the slot is cleared.
  if (lookup.receiver->is_waiting()) {
    lookup.receiver->deliver(reply);
  }
  if (lookup.active) {
    --lanes_.at(lookup.nameservers->front()).active;
  }
  ++ended_;
  lookups_.close(lookup);
}

void Worker::finish_all(Error error) {
  const auto reply = failed_reply(error);
  lookups_.for_each([&](Lookup& lookup) { finish(lookup, reply); });
}

std::optional<milliseconds> Worker::time_to_wait() const {
  auto until = lookups_.next_wake();
  if (const auto tend = channels_.next_tend(now_)) {
    until = std::min(until.value_or(*tend), *tend);
  }
  if (!until) {
    return std::nullopt;
  }
  // Rounded up: a wait that ends early would spin.
  return std::chrono::ceil<milliseconds>(std::max(*until - now_, Clock::duration::zero()));
}

}  // namespace caravan
