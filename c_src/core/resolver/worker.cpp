#include "core/resolver/worker.hpp"

#include <algorithm>
#include <utility>

#include "core/resolver/address_join.hpp"

namespace caravan {
namespace {

using std::chrono::milliseconds;

// Without a TTL: nobody is to remember what a file says.
Reply reply_with(const std::vector<IpAddress>& addresses) {
  Reply reply;
  reply.complete = true;
  for (const auto& address : addresses) {
    reply.addresses.push_back({address, 0});
  }
  return reply;
}

// False when there is no equal lookup that ends before the waiter's time does.
bool join(ClientState& state, const Inquiry& inquiry, Waiter& waiter) {
  const auto equal = state.joinable.find(inquiry);
  if (equal == state.joinable.end() || (*equal)->deadline() > waiter.deadline) {
    return false;
  }
  state.client->stats.count(Counter::kCoalesced);
  (*equal)->waiters.others.push_back(std::move(waiter));
  return true;
}

void publish_counts(const ClientState& state) noexcept {
  const auto active = state.admission.active();
  state.client->stats.in_flight.store(active, std::memory_order_relaxed);
  state.client->stats.queued.store(state.lookups - active, std::memory_order_relaxed);
}

}  // namespace

Worker::Worker(Resolver& resolver, WakePipe& wake)
    : resolver_{resolver},
      wake_{wake},
      now_{Clock::now()},
      random_{std::random_device{}()},
      sockets_{wake.read_end()},
      driver_{lookups_, sockets_, *this, now_} {}

void Worker::run() noexcept {
  Resolver::Inbox inbox;
  while (true) {
    resolver_.take(inbox);
    set_time(Clock::now());
    for (auto& request : inbox.requests) {
      accept(request);
    }
    inbox.requests.clear();
    for (const auto& departure : inbox.departures) {
      depart(departure);
    }
    inbox.departures.clear();
    if (inbox.stop) {
      close_all(nullptr);
      return;
    }
    settle();
    fire_timers();
    settle();
    std::erase_if(clients_, [](const auto& entry) { return entry.second->forsaken && entry.second->lookups == 0; });
    const auto& ready = sockets_.wait(time_to_wait());
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

void Worker::set_time(Clock::time_point now) noexcept {
  now_ = now;
  driver_.set_time(now);
}

ClientState& Worker::state_of(const std::shared_ptr<Client>& client) {
  auto& state = clients_[client.get()];
  if (!state) {
    state = std::make_unique<ClientState>(client);
  }
  return *state;
}

void Worker::accept(LookupRequest& request) {
  auto& state = state_of(request.waiter.place.client());
  if (request.type == LookupType::kAddresses) {
    accept_addresses(state, request);
    return;
  }
  look_up(state, inquiry_of(request, state.client->options), std::move(request.waiter));
}

void Worker::accept_addresses(ClientState& state, LookupRequest& request) {
  const auto literal = parse_ip_address(request.name);
  const auto known = literal ? std::vector{*literal} : state.hosts.get(now_).find(request.name);
  if (!known.empty()) {
    finish(request.waiter, reply_with(known));
    return;
  }
  auto inquiry = inquiry_of(request, state.client->options);
  auto [ipv4, ipv6] = split_waiter(std::move(request.waiter));
  look_up(state, inquiry, std::move(ipv4));
  inquiry.question.type = RecordType::kAaaa;
  look_up(state, std::move(inquiry), std::move(ipv6));
}

void Worker::look_up(ClientState& state, Inquiry inquiry, Waiter waiter) {
  if (answer_from_cache(state, inquiry, waiter) || join(state, inquiry, waiter)) {
    return;
  }
  auto& lookup = lookups_.open(state);
  ++state.lookups;
  lookup.inquiry = std::move(inquiry);
  lookup.waiters.first = std::move(waiter);
  lookup.joinable = state.joinable.insert(&lookup).second;
  use_nameservers(state, lookup);
  if (lookup.nameservers->empty()) {
    on_result(lookup, failed_reply(Error::kConnrefused));
    return;
  }
  if (state.admission.enter(lookup.route())) {
    begin(lookup);
  } else {
    enqueue(lookup);
  }
}

void Worker::enqueue(Lookup& lookup) {
  lookups_.wake_at(lookup, lookup.deadline());
  lookup.client->admission.enqueue(lookup.route(), lookup.ref);
  publish_counts(*lookup.client);
}

void Worker::begin(Lookup& lookup) {
  lookup.active = true;
  publish_counts(*lookup.client);
  driver_.begin(lookup);
}

bool Worker::answer_from_cache(ClientState& state, const Inquiry& inquiry, const Waiter& waiter) {
  if (!state.cache) {
    return false;
  }
  // Other nameservers may say other things.
  if (auto system = system_.get(now_); system != state.system) {
    state.cache->clear();
    state.system = std::move(system);
  }
  const auto reply = state.cache->find(inquiry, now_);
  if (!reply) {
    return false;
  }
  state.client->stats.count(Counter::kCacheHits);
  finish(waiter, *reply);
  return true;
}

void Worker::use_nameservers(ClientState& state, Lookup& lookup) {
  const auto& options = state.client->options;
  lookup.nameservers = lookup.inquiry.nameservers;
  bool rotate = options.rotate;
  if (!lookup.nameservers) {
    const auto system = system_.get(now_);
    lookup.nameservers = {system, &system->nameservers};
    rotate = rotate || system->rotate;
  }
  if (options.search.value_or(!lookup.inquiry.nameservers)) {
    const auto system = system_.get(now_);
    lookup.search = {system, &system->search};
  }
  if (rotate && !lookup.nameservers->empty()) {
    lookup.first_server = state.rotation++ % lookup.nameservers->size();
  }
}

void Worker::depart(const Resolver::Departure& departure) {
  const auto found = clients_.find(departure.client.get());
  if (found == clients_.end()) {
    return;
  }
  found->second->forsaken = true;
  if (departure.closed) {
    close_all(found->second.get());
  }
}

void Worker::admit() {
  for (auto& [client, state] : clients_) {
    while (const auto admitted = state->admission.admit()) {
      if (auto* lookup = lookups_.find(admitted->lookup)) {
        begin(*lookup);
      } else {
        state->admission.leave(admitted->route);
      }
    }
  }
}

// Brings everything to rest: replies may end lookups, ended lookups admit others, and those may be answered at once.
void Worker::settle() {
  do {
    admit();
  } while (driver_.handle_replies());
}

void Worker::fire_timers() {
  while (auto* lookup = lookups_.take_due(now_)) {
    driver_.wake(*lookup);
  }
}

void Worker::on_result(Lookup& lookup, Reply reply) {
  auto& state = *lookup.client;
  const bool out_of_time = (reply.truncated || is_failure(reply)) && lookup.deadline() <= now_;
  // UDP in place of TCP: the answer may lack records that another one would have.
  const bool second_best = lookup.inquiry.transport == Transport::kTcpFirst && !reply.error && !reply.complete;
  if (state.cache && !second_best) {
    state.cache->put(lookup.inquiry, reply, now_);
  }
  const auto inquiry = out_of_time && !lookup.waiters.others.empty() ? lookup.inquiry : Inquiry{};
  auto [first, others] = close(lookup);
  finish(first, reply);
  for (auto& waiter : others) {
    if (out_of_time && waiter.deadline > now_) {
      look_up(state, inquiry, std::move(waiter));
    } else {
      finish(waiter, reply);
    }
  }
}

void Worker::finish(const Waiter& waiter, const Reply& reply) {
  if (!waiter.srv_order || reply.srv.size() < 2) {
    waiter.finish(reply);
    return;
  }
  auto ordered = reply;
  order_srv(ordered.srv, random_);
  waiter.finish(ordered);
}

Lookup::Waiters Worker::close(Lookup& lookup) {
  auto& state = *lookup.client;
  if (lookup.joinable) {
    state.joinable.erase(&lookup);
  }
  if (lookup.active) {
    state.admission.leave(lookup.route());
  }
  --state.lookups;
  publish_counts(state);
  return lookups_.close(lookup);
}

void Worker::close_all(const ClientState* of) {
  const auto reply = failed_reply(Error::kClosed);
  lookups_.for_each([&](Lookup& lookup) {
    if (of == nullptr || lookup.client == of) {
      auto [first, others] = close(lookup);
      first.finish(reply);
      for (auto& waiter : others) {
        waiter.finish(reply);
      }
    }
  });
}

std::optional<milliseconds> Worker::time_to_wait() const {
  auto until = lookups_.next_wake();
  if (const auto tend = driver_.next_tend()) {
    until = std::min(until.value_or(*tend), *tend);
  }
  if (!until) {
    return std::nullopt;
  }
  // Rounded up: a wait that ends early would spin.
  return std::chrono::ceil<milliseconds>(std::max(*until - now_, Clock::duration::zero()));
}

}  // namespace caravan
