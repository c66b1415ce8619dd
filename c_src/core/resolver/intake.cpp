#include "core/resolver/intake.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/wire/dns_name.hpp"

namespace caravan {
namespace {

// How many requests that wait for one hosts file are accepted in one turn of the loop.
constexpr std::size_t kAcceptedPerTurn = 512;

// Sets no TTL, so that no caller caches the contents of a file.
Reply reply_with(const std::vector<IpAddress>& addresses) {
  Reply reply;
  reply.complete = true;
  for (const auto& address : addresses) {
    reply.addresses.push_back({address, 0});
  }
  return reply;
}

// Adds the waiter to an open lookup for an equal inquiry. Returns false if no lookup is equal, or if it may last longer
// than the waiter's deadline.
bool join(ClientState& state, const LookupKey& key, Waiter& waiter) {
  const auto equal = state.joinable.find(key);
  if (equal == state.joinable.end() || (*equal)->deadline() > waiter.deadline) {
    return false;
  }
  state.client->stats.count(Counter::kCoalesced);
  (*equal)->waiters.others.push_back(std::move(waiter));
  return true;
}

// By default, the search list applies to names that the system's nameservers are asked for.
bool uses_search_list(const ClientOptions& options, const Inquiry& inquiry) noexcept {
  return options.search.value_or(!inquiry.nameservers);
}

void use_nameservers(ClientState& state, Lookup& lookup) {
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

}  // namespace

void Intake::accept(LookupRequest& request) {
  auto& state = clients_.of(request.waiter.place.client());
  if (request.type == LookupType::kAddresses) {
    accept_addresses(state, request);
    return;
  }
  look_up(state, inquiry_for(state, request), std::move(request.waiter));
}

Inquiry Intake::inquiry_for(const ClientState& state, LookupRequest& request) {
  return inquiry_of(request, state.client->options, system_.get(now_));
}

void Intake::accept_addresses(ClientState& state, LookupRequest& request) {
  if (const auto literal = parse_ip_address(request.name)) {
    observer_.on_known(request.waiter, reply_with({*literal}));
    return;
  }
  auto& reader = hosts_of(state);
  if (const auto hosts = reader.get(now_)) {
    accept_with_hosts(state, request, *hosts);
    return;
  }
  ++state.awaiting_hosts;
  awaiting_hosts_[&reader].push_back(std::move(request));
}

HostsReader& Intake::hosts_of(ClientState& state) {
  if (!state.hosts) {
    state.hosts = hosts_.of(state.client->options.hosts_file);
  }
  return *state.hosts;
}

bool Intake::accept_awaiting() {
  bool has_more = false;
  for (auto entry = awaiting_hosts_.begin(); entry != awaiting_hosts_.end();) {
    auto& [reader, requests] = *entry;
    const auto hosts = reader->get(now_);
    for (std::size_t accepted = 0; hosts && !requests.empty() && accepted < kAcceptedPerTurn; ++accepted) {
      auto request = std::move(requests.front());
      requests.pop_front();
      auto& state = clients_.of(request.waiter.place.client());
      --state.awaiting_hosts;
      if (state.closed) {
        request.waiter.finish(failed_reply(Error::kClosed));
      } else {
        accept_with_hosts(state, request, *hosts);
      }
    }
    has_more |= hosts && !requests.empty();
    entry = requests.empty() ? awaiting_hosts_.erase(entry) : std::next(entry);
  }
  return has_more;
}

void Intake::accept_with_hosts(ClientState& state, LookupRequest& request, const HostsFile& hosts) {
  const auto known = hosts.find(request.name);
  if (!known.empty()) {
    observer_.on_known(request.waiter, reply_with(known));
    return;
  }
  auto inquiry = inquiry_for(state, request);
  std::vector<std::string> names{inquiry.question.name};
  if (uses_search_list(state.client->options, inquiry)) {
    auto candidates = search_candidates(names.front(), inquiry.system->search);
    if (candidates.size() > 1) {
      names = std::move(candidates);
      std::for_each(names.begin(), names.end(), [](std::string& name) { name += '.'; });
    }
  }
  look_up_addresses(state, AddressJoins::begin(std::move(request.waiter), std::move(inquiry), std::move(names)));
}

void Intake::look_up_addresses(ClientState& state, const AddressJoins::JoinRef& join) {
  auto [ipv4, ipv6] = joins_.split(join);
  const auto first = look_up(state, std::move(ipv4.inquiry), std::move(ipv4.waiter));
  const auto second = look_up(state, std::move(ipv6.inquiry), std::move(ipv6.waiter));
  AddressJoins::set_lookups(*join, first, second);
}

bool Intake::look_up_next_names() {
  bool any = false;
  while (const auto join = joins_.take_unfinished()) {
    auto* state = clients_.find(AddressJoins::client_of(*join).get());
    if (state == nullptr) {
      // The client was released and had no open lookup, so its state was dropped. Only joins that are open still use
      // it.
      state = &clients_.of(AddressJoins::client_of(*join));
      state->released = true;
    }
    if (state->closed) {
      AddressJoins::close(*join);
    } else {
      look_up_addresses(*state, join);
    }
    any = true;
  }
  return any;
}

void Intake::look_up_again(ClientState& state, Inquiry inquiry, Waiter waiter) {
  inquiry.system = system_.get(now_);
  look_up(state, std::move(inquiry), std::move(waiter));
}

LookupRef Intake::look_up(ClientState& state, Inquiry inquiry, Waiter waiter) {
  if (answer_from_cache(state, inquiry, waiter)) {
    return kNoLookup;
  }
  const auto hash = InquiryHash{}(inquiry);
  if (join(state, {inquiry, hash}, waiter)) {
    return kNoLookup;
  }
  auto& lookup = lookups_.open(state);
  const auto ref = lookup.ref;
  lookup.index_in_client = state.lookups.size();
  state.lookups.push_back(&lookup);
  state.publish_counts();
  lookup.inquiry = std::move(inquiry);
  lookup.waiters.first = std::move(waiter);
  lookup.inquiry_hash = hash;
  lookup.joinable = state.joinable.insert(&lookup).second;
  use_nameservers(state, lookup);
  observer_.on_lookup(lookup);
  return ref;
}

bool Intake::answer_from_cache(ClientState& state, const Inquiry& inquiry, const Waiter& waiter) {
  if (!state.cache) {
    return false;
  }
  const auto reply = state.cache->find(inquiry, now_);
  if (!reply) {
    return false;
  }
  state.client->stats.count(Counter::kCacheHits);
  observer_.on_known(waiter, *reply);
  return true;
}

void Intake::end_awaiting(const Reply& reply) {
  for (const auto& [reader, requests] : awaiting_hosts_) {
    std::for_each(requests.begin(), requests.end(), [&](const auto& request) { request.waiter.finish(reply); });
  }
  awaiting_hosts_.clear();
  while (const auto join = joins_.take_unfinished()) {
    AddressJoins::close(*join);
  }
}

std::optional<Intake::TimePoint> Intake::next_wake() const noexcept {
  auto next = joins_.next_end();
  for (const auto& [reader, requests] : awaiting_hosts_) {
    next = std::min(next.value_or(reader->deadline()), reader->deadline());
  }
  return next;
}

}  // namespace caravan
