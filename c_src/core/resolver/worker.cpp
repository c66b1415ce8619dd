#include "core/resolver/worker.hpp"

#include <algorithm>
#include <iterator>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/wire/dns_name.hpp"

namespace caravan {
namespace {

using std::chrono::milliseconds;

// How much of each kind of work is done in one turn of the loop: a few milliseconds' worth.
constexpr std::size_t kTimersPerTurn = 512;
constexpr std::size_t kClosedPerTurn = 512;
constexpr std::size_t kRecordsPerTurn = 20'000;

}  // namespace

Worker::Worker(Resolver& resolver, WakePipe& wake, std::uint64_t seed)
    : resolver_{resolver},
      wake_{wake},
      now_{Clock::now()},
      random_{seed},
      intake_{clients_, lookups_, *this, [&wake] { wake.wake(); }, now_},
      sockets_{wake.read_end()},
      driver_{lookups_, sockets_, *this, now_} {}

void Worker::run() noexcept {
  Resolver::Inbox inbox;
  while (true) {
    resolver_.take(inbox);
    driver_.begin_turn();
    is_behind_ = inbox.has_more;
    set_time(Clock::now());
    if (inbox.stop) {
      stop(inbox);
      return;
    }
    for (auto& request : inbox.requests) {
      intake_.accept(request);
    }
    inbox.requests.clear();
    for (auto& departure : inbox.departures) {
      depart(std::move(departure));
    }
    inbox.departures.clear();
    is_behind_ |= intake_.accept_awaiting();
    end_some_of_departed();
    settle();
    fire_timers();
    settle();
    deliver_some();
    clients_.forget_released([this](ClientState& state) { driver_.forget(state); });
    intake_.tidy();
    lookups_.tidy();
    is_behind_ = is_behind_ || !resolver_.may_sleep();
    const auto& ready = sockets_.wait(is_behind_ ? milliseconds{0} : time_to_wait());
    if (sockets_.is_woken()) {
      wake_.drain();
    }
    set_time(Clock::now());
    for (const auto& socket : ready) {
      driver_.read(socket);
    }
    driver_.tend();
    settle();
  }
}

// Ends all lookups and requests with kClosed.
void Worker::stop(Resolver::Inbox& inbox) {
  const auto reply = std::make_shared<const Reply>(failed_reply(Error::kClosed));
  for (auto& departure : inbox.departures) {
    depart(std::move(departure));
  }
  for (auto& departure : departed_) {
    while (end_one(departure)) {
    }
  }
  for (const auto& [client, requests] : inbox.left) {
    std::for_each(requests.begin(), requests.end(), [&](const auto& request) { request.waiter.finish(*reply); });
  }
  lookups_.for_each([&](Lookup& lookup) { finish(close(lookup), reply); });
  deliveries_.finish_some(std::numeric_limits<std::size_t>::max(), [this](auto&&... delivery) { finish(delivery...); });
  intake_.end_awaiting(*reply);
}

void Worker::set_time(Clock::time_point now) noexcept {
  now_ = now;
  intake_.set_time(now);
  driver_.set_time(now);
}

void Worker::on_lookup(Lookup& lookup) {
  if (lookup.nameservers->empty()) {
    on_result(lookup, failed_reply(Error::kConnrefused));
    return;
  }
  driver_.begin(lookup);
}

void Worker::depart(Resolver::Departure departure) {
  if (auto* state = clients_.find(departure.client.get())) {
    state->released = true;
    state->closed = departure.closed;
  }
  if (departure.closed) {
    departed_.push_back(std::move(departure));
  }
}

void Worker::end_some_of_departed() {
  for (std::size_t ended = 0; !departed_.empty() && ended < kClosedPerTurn; ++ended) {
    if (!end_one(departed_.front())) {
      departed_.pop_front();
    }
  }
  is_behind_ |= !departed_.empty();
}

// Ends one request or lookup of a closed client. Returns false if there was none left.
bool Worker::end_one(Resolver::Departure& departure) {
  if (!departure.requests.empty()) {
    const auto waiter = std::move(departure.requests.front().waiter);
    departure.requests.pop_front();
    waiter.finish(failed_reply(Error::kClosed));
    return true;
  }
  auto* state = clients_.find(departure.client.get());
  if (state == nullptr || state->lookups.empty()) {
    return false;
  }
  finish(close(*state->lookups.back()), std::make_shared<const Reply>(failed_reply(Error::kClosed)));
  return true;
}

// Repeats until nothing changes: replies may end lookups, which frees slots for others, and those may be answered at
// once.
void Worker::settle() {
  do {
    driver_.admit();
  } while (driver_.handle_replies() || intake_.look_up_next_names() || driver_.flush());
  is_behind_ |= driver_.is_behind();
}

void Worker::fire_timers() {
  for (std::size_t fired = 0; fired < kTimersPerTurn; ++fired) {
    auto* lookup = lookups_.take_due(now_);
    if (lookup == nullptr) {
      break;
    }
    driver_.wake(*lookup);
  }
  // An address lookup no longer waits for its late family, so the lookup for that is cancelled, unless another caller
  // has joined it.
  for (const auto late : intake_.end_late_families()) {
    auto* lookup = lookups_.find(late);
    if (lookup != nullptr && !lookup->is_wanted()) {
      on_result(*lookup, failed_reply(Error::kCancelled));
    }
  }
}

void Worker::on_result(Lookup& lookup, Reply&& reply) {
  auto& state = *lookup.client;
  const bool out_of_time = (reply.truncated || is_failure(reply)) && lookup.deadline() <= now_;
  // An answer over UDP in place of TCP may lack records, and is not cached, so that the next lookup can get them.
  const bool second_best = lookup.inquiry.transport == Transport::kTcpFirst && !reply.error && !reply.complete;
  if (state.cache && !second_best) {
    state.cache->put(lookup.inquiry, reply, now_);
  }
  Inquiry inquiry;
  if (out_of_time && !lookup.waiters.others.empty()) {
    inquiry = lookup.inquiry;
  }
  auto [first, others] = close(lookup);
  finish(first, reply);
  const auto late = std::partition(others.begin(), others.end(),
                                   [&](const Waiter& waiter) { return !out_of_time || waiter.deadline <= now_; });
  for (auto& waiter : std::span{late, others.end()}) {
    intake_.look_up_again(state, inquiry, std::move(waiter));
  }
  others.erase(late, others.end());
  if (!others.empty()) {
    deliveries_.add(std::make_shared<const Reply>(std::move(reply)), std::move(others));
  }
}

void Worker::deliver_some() {
  is_behind_ |= !deliveries_.finish_some(kRecordsPerTurn, [this](auto&&... delivery) { finish(delivery...); });
  // Before forget_released(), which would drop the client of these lookups.
  is_behind_ |= intake_.look_up_next_names();
}

void Worker::finish(const Waiter& waiter, const Reply& reply, std::unique_ptr<Rendering>* shared) {
  if (!waiter.srv_order || reply.srv.size() < 2) {
    waiter.finish(reply, shared);
    return;
  }
  auto ordered = reply;
  order_srv(ordered.srv, random_);
  waiter.finish(ordered);
}

// Finishes the first waiter at once, and the others in parts.
void Worker::finish(Lookup::Waiters waiters, const std::shared_ptr<const Reply>& reply) {
  finish(waiters.first, *reply);
  deliveries_.add(reply, std::move(waiters.others));
}

Lookup::Waiters Worker::close(Lookup& lookup) {
  auto& state = *lookup.client;
  if (lookup.joinable) {
    state.joinable.erase(&lookup);
  }
  LookupDriver::end(lookup);
  auto& lookups = state.lookups;
  lookups[lookup.index_in_client] = lookups.back();
  lookups[lookup.index_in_client]->index_in_client = lookup.index_in_client;
  lookups.pop_back();
  state.publish_counts();
  return lookups_.close(lookup);
}

std::optional<milliseconds> Worker::time_to_wait() const {
  auto until = lookups_.next_wake();
  for (const auto other : {driver_.next_tend(), driver_.next_sweep(), intake_.next_wake()}) {
    if (other) {
      until = std::min(until.value_or(*other), *other);
    }
  }
  if (!until) {
    return std::nullopt;
  }
  // Rounded up, since a wait that ends early would make the loop spin.
  return std::chrono::ceil<milliseconds>(std::max(*until - now_, Clock::duration::zero()));
}

}  // namespace caravan
