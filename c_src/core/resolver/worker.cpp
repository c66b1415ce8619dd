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

// What is done of each kind before the loop turns: a few milliseconds' worth.
constexpr std::size_t kAdmittedPerTurn = 128;  // of each client
constexpr std::size_t kTimersPerTurn = 512;
constexpr std::size_t kRecordsPerTurn = 20'000;

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

// By default it is for names that the system's nameservers are asked for.
bool uses_search_list(const ClientOptions& options, const Inquiry& inquiry) noexcept {
  return options.search.value_or(!inquiry.nameservers);
}

void leave(Lookup& lookup) {
  if (std::exchange(lookup.active, false)) {
    lookup.client->admission.leave(lookup.route());
  }
}

void publish_counts(const ClientState& state) noexcept {
  const auto active = state.admission.active();
  state.client->stats.in_flight.store(active, std::memory_order_relaxed);
  state.client->stats.queued.store(state.lookups - active, std::memory_order_relaxed);
}

}  // namespace

Worker::Worker(Resolver& resolver, WakePipe& wake, std::uint64_t seed)
    : resolver_{resolver},
      wake_{wake},
      now_{Clock::now()},
      random_{seed},
      sockets_{wake.read_end()},
      driver_{lookups_, sockets_, *this, now_} {}

void Worker::run() noexcept {
  Resolver::Inbox inbox;
  while (true) {
    resolver_.take(inbox);
    ++turn_;
    is_behind_ = inbox.has_more;
    set_time(Clock::now());
    if (inbox.stop) {
      stop(inbox);
      return;
    }
    for (auto& request : inbox.requests) {
      accept(request);
    }
    inbox.requests.clear();
    for (auto& departure : inbox.departures) {
      depart(departure);
    }
    inbox.departures.clear();
    settle();
    fire_timers();
    settle();
    deliver_some();
    std::erase_if(clients_, [](const auto& entry) { return entry.second->forsaken && entry.second->lookups == 0; });
    lookups_.tidy();
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

// Nobody is asked any more, and nobody waits for ever.
void Worker::stop(Resolver::Inbox& inbox) {
  const auto reply = std::make_shared<const Reply>(failed_reply(Error::kClosed));
  for (auto& departure : inbox.departures) {
    depart(departure);
  }
  for (const auto& request : inbox.requests) {
    request.waiter.finish(*reply);
  }
  deliveries_.add(reply, close_all(nullptr));
  deliveries_.finish_some(std::numeric_limits<std::size_t>::max(),
                          [this](const Waiter& waiter, const Reply& answer) { finish(waiter, answer); });
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
  look_up(state, inquiry_for(state, request), std::move(request.waiter));
}

Inquiry Worker::inquiry_for(const ClientState& state, const LookupRequest& request) {
  return inquiry_of(request, state.client->options, system_.get(now_));
}

void Worker::accept_addresses(ClientState& state, LookupRequest& request) {
  const auto literal = parse_ip_address(request.name);
  const auto known = literal ? std::vector{*literal} : state.hosts.get(now_).find(request.name);
  if (!known.empty()) {
    finish(request.waiter, reply_with(known));
    return;
  }
  auto inquiry = inquiry_for(state, request);
  std::vector<std::string> names{request.name};
  if (uses_search_list(state.client->options, inquiry)) {
    auto candidates = search_candidates(request.name, inquiry.system->search);
    if (candidates.size() > 1) {
      names = std::move(candidates);
      std::for_each(names.begin(), names.end(), [](std::string& name) { name += '.'; });
    }
  }
  look_up_addresses(state, AddressJoins::begin(std::move(request.waiter), std::move(inquiry), std::move(names)));
}

void Worker::look_up_addresses(ClientState& state, const AddressJoins::JoinRef& join) {
  auto [ipv4, ipv6] = joins_.split(join);
  const auto first = look_up(state, std::move(ipv4.inquiry), std::move(ipv4.waiter));
  const auto second = look_up(state, std::move(ipv6.inquiry), std::move(ipv6.waiter));
  AddressJoins::set_lookups(*join, first, second);
}

// Returns false if there was none.
bool Worker::look_up_next_names() {
  bool any = false;
  while (const auto join = joins_.take_unfinished()) {
    look_up_addresses(state_of(AddressJoins::client_of(*join)), join);
    any = true;
  }
  return any;
}

LookupRef Worker::look_up(ClientState& state, Inquiry inquiry, Waiter waiter) {
  if (answer_from_cache(state, inquiry, waiter) || join(state, inquiry, waiter)) {
    return kNoLookup;
  }
  auto& lookup = lookups_.open(state);
  const auto ref = lookup.ref;
  ++state.lookups;
  lookup.inquiry = std::move(inquiry);
  lookup.waiters.first = std::move(waiter);
  lookup.joinable = state.joinable.insert(&lookup).second;
  use_nameservers(state, lookup);
  if (lookup.nameservers->empty()) {
    on_result(lookup, failed_reply(Error::kConnrefused));
    return ref;
  }
  enter(lookup);
  return ref;
}

void Worker::enter(Lookup& lookup) {
  if (lookup.client->admission.enter(lookup.route())) {
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
  if (lookup.plan) {
    driver_.ask_again(lookup);
  } else {
    driver_.begin(lookup);
  }
}

bool Worker::answer_from_cache(ClientState& state, const Inquiry& inquiry, const Waiter& waiter) {
  if (!state.cache) {
    return false;
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
  const auto& system = lookup.inquiry.system;
  bool rotate = options.rotate;
  if (!lookup.nameservers) {
    lookup.nameservers = {system, &system->nameservers};
    rotate = rotate || system->rotate;
  }
  if (uses_search_list(options, lookup.inquiry)) {
    lookup.search = {system, &system->search};
  }
  if (rotate && !lookup.nameservers->empty()) {
    lookup.first_server = state.rotation++ % lookup.nameservers->size();
  }
}

void Worker::depart(Resolver::Departure& departure) {
  std::vector<Waiter> waiters;
  if (const auto found = clients_.find(departure.client.get()); found != clients_.end()) {
    found->second->forsaken = true;
    if (departure.closed) {
      waiters = close_all(found->second.get());
    }
  }
  for (auto& request : departure.requests) {
    waiters.push_back(std::move(request.waiter));
  }
  deliveries_.add(std::make_shared<const Reply>(failed_reply(Error::kClosed)), std::move(waiters));
}

void Worker::admit() {
  for (auto& [client, state] : clients_) {
    if (std::exchange(state->turn, turn_) != turn_) {
      state->admitted = 0;
    }
    while (state->admitted < kAdmittedPerTurn) {
      const auto admitted = state->admission.admit();
      if (!admitted) {
        break;
      }
      ++state->admitted;
      if (auto* lookup = lookups_.find(admitted->lookup)) {
        begin(*lookup);
      } else {
        state->admission.leave(admitted->route);
      }
    }
    is_behind_ |= state->admitted == kAdmittedPerTurn;
  }
}

// Brings everything to rest: replies may end lookups, ended lookups admit others, and those may be answered at once.
void Worker::settle() {
  do {
    admit();
  } while (driver_.handle_replies() || look_up_next_names());
}

void Worker::fire_timers() {
  for (std::size_t fired = 0; fired < kTimersPerTurn; ++fired) {
    auto* lookup = lookups_.take_due(now_);
    if (lookup == nullptr) {
      break;
    }
    driver_.wake(*lookup);
  }
  end_late_families();
}

// What nobody waits for keeps no others from being asked.
void Worker::end_late_families() {
  for (const auto late : joins_.end_late(now_)) {
    auto* lookup = lookups_.find(late);
    if (lookup != nullptr && !lookup->is_wanted()) {
      on_result(*lookup, failed_reply(Error::kCancelled));
    }
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
  Inquiry inquiry;
  if (out_of_time && !lookup.waiters.others.empty()) {
    inquiry = lookup.inquiry;
    inquiry.system = system_.get(now_);
  }
  auto [first, others] = close(lookup);
  finish(first, reply);
  const auto late = std::partition(others.begin(), others.end(),
                                   [&](const Waiter& waiter) { return !out_of_time || waiter.deadline <= now_; });
  for (auto& waiter : std::span{late, others.end()}) {
    look_up(state, inquiry, std::move(waiter));
  }
  others.erase(late, others.end());
  if (!others.empty()) {
    deliveries_.add(std::make_shared<const Reply>(std::move(reply)), std::move(others));
  }
}

void Worker::deliver_some() {
  is_behind_ |= !deliveries_.finish_some(kRecordsPerTurn,
                                         [this](const Waiter& waiter, const Reply& reply) { finish(waiter, reply); });
  // A client that has left is forgotten after this.
  is_behind_ |= look_up_next_names();
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

// Who asks nobody keeps no others from being asked.
void Worker::on_silence(Lookup& lookup) {
  leave(lookup);
  publish_counts(*lookup.client);
}

void Worker::on_pause_over(Lookup& lookup) { enter(lookup); }

Lookup::Waiters Worker::close(Lookup& lookup) {
  auto& state = *lookup.client;
  if (lookup.joinable) {
    state.joinable.erase(&lookup);
  }
  lookup.let_go_of_channels();
  leave(lookup);
  --state.lookups;
  publish_counts(state);
  return lookups_.close(lookup);
}

// Gives back who waits.
std::vector<Waiter> Worker::close_all(const ClientState* of) {
  std::vector<Waiter> waiters;
  lookups_.for_each([&](Lookup& lookup) {
    if (of == nullptr || lookup.client == of) {
      auto [first, others] = close(lookup);
      waiters.push_back(std::move(first));
      std::move(others.begin(), others.end(), std::back_inserter(waiters));
    }
  });
  return waiters;
}

std::optional<milliseconds> Worker::time_to_wait() const {
  auto until = lookups_.next_wake();
  for (const auto other : {driver_.next_tend(), joins_.next_end()}) {
    if (other) {
      until = std::min(until.value_or(*other), *other);
    }
  }
  if (!until) {
    return std::nullopt;
  }
  // Rounded up: a wait that ends early would spin.
  return std::chrono::ceil<milliseconds>(std::max(*until - now_, Clock::duration::zero()));
}

}  // namespace caravan
