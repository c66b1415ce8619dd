#include "core/resolver/admission.hpp"

#include <algorithm>
#include <utility>

#include "core/resolver/channel_pool.hpp"
#include "core/resolver/client_state.hpp"
#include "core/resolver/endpoint_memory.hpp"
#include "core/resolver/lookup.hpp"

namespace caravan {
namespace {

// The number of lanes from which on idle ones are removed.
constexpr std::size_t kMaxIdleLanes = 256;

std::size_t share_of(const ClientState& client) noexcept { return client.client->options.max_inflight; }

}  // namespace

Admission::Lane& Admission::lane_of(const Endpoint& endpoint) {
  if (last_lane_ != nullptr && last_lane_->endpoint == endpoint) {
    return *last_lane_;
  }
  if (lanes_.size() >= kMaxIdleLanes) {
    std::erase_if(lanes_, [](const auto& entry) { return entry.second.held == 0 && entry.second.waiting == 0; });
  }
  auto& lane = lanes_[endpoint];
  lane.endpoint = endpoint;
  last_lane_ = &lane;
  return lane;
}

bool Admission::has_room(const Lane& lane, TimePoint now) {
  if (!lane.endpoint.tcp) {
    return lane.held < ChannelPool::kMaxInFlight;
  }
  return lane.held < EndpointRecord::kMinWindow || lane.held < endpoints_.of(lane.endpoint).window(now);
}

bool Admission::enter(Lookup& lookup, const Endpoint& endpoint, TimePoint now) {
  auto& lane = lane_of(endpoint);
  if (lookup.slot.is_held_ && lookup.slot.lane_ == &lane) {
    return true;
  }
  leave(lookup);
  auto& share = lane.shares[lookup.client];
  if (lane.is_blocked || !share.waiting.empty() || share.holders.size() >= share_of(*lookup.client) ||
      !has_room(lane, now)) {
    return false;
  }
  hold(lookup, lane, share);
  return true;
}

void Admission::hold(Lookup& lookup, Lane& lane, Share& share) {
  auto& slot = lookup.slot;
  slot.lane_ = &lane;
  slot.share_ = &share;
  slot.index_ = share.holders.size();
  slot.is_held_ = true;
  if (slot.ticket_ == 0) {
    slot.ticket_ = ++last_ticket_;
  }
  share.holders.push_back(&lookup);
  ++lane.held;
  ++lookup.client->in_flight;
  lookup.client->publish_counts();
}

void Admission::wait(Lookup& lookup, const Endpoint& endpoint) {
  leave(lookup);
  auto& lane = lane_of(endpoint);
  auto& waiting = lane.shares[lookup.client].waiting;
  auto& slot = lookup.slot;
  slot.lane_ = &lane;
  if (slot.ticket_ == 0) {
    slot.ticket_ = ++last_ticket_;
  }
  // The position is nearly always at the end.
  const auto place = std::upper_bound(waiting.begin(), waiting.end(), slot.ticket_,
                                      [](std::uint64_t number, const Ticket& other) { return number < other.number; });
  waiting.insert(place, {slot.ticket_, lookup.ref});
  ++lane.waiting;
  ++waiting_;
}

void Admission::leave(Lookup& lookup) noexcept {
  auto& slot = lookup.slot;
  if (slot.is_held_) {
    auto& holders = slot.share_->holders;
    holders[slot.index_] = holders.back();
    holders[slot.index_]->slot.index_ = slot.index_;
    holders.pop_back();
    --slot.lane_->held;
    --lookup.client->in_flight;
    lookup.client->publish_counts();
  }
  slot.is_held_ = false;
  slot.lane_ = nullptr;
}

void Admission::renew(Lookup& lookup) noexcept {
  leave(lookup);
  lookup.slot.ticket_ = 0;
}

Lookup* Admission::admit(TimePoint now) {
  if (waiting_ == 0) {
    return nullptr;
  }
  for (auto& [endpoint, lane] : lanes_) {
    if (lane.waiting == 0 || lane.is_blocked || !has_room(lane, now)) {
      continue;
    }
    if (std::exchange(lane.turn, turn_) != turn_) {
      lane.admitted = 0;
    }
    if (lane.admitted >= kAdmittedPerTurn) {
      is_behind_ = true;
      continue;
    }
    if (auto* lookup = admit_from(lane)) {
      ++lane.admitted;
      return lookup;
    }
  }
  return nullptr;
}

Lookup* Admission::admit_from(Lane& lane) {
  auto& shares = lane.shares;
  auto next = shares.upper_bound(lane.last_served);
  for (auto count = shares.size(); count > 0; --count, ++next) {
    if (next == shares.end()) {
      next = shares.begin();
    }
    auto& [client, share] = *next;
    if (share.holders.size() >= share_of(*client)) {
      continue;
    }
    if (auto* lookup = take_first(lane, share)) {
      lane.last_served = client;
      hold(*lookup, lane, share);
      return lookup;
    }
  }
  return nullptr;
}

// Removes and returns the first lookup that still waits, or null if no lookup does.
Lookup* Admission::take_first(Lane& lane, Share& share) {
  while (!share.waiting.empty()) {
    const auto [number, ref] = share.waiting.front();
    share.waiting.pop_front();
    --lane.waiting;
    --waiting_;
    auto* lookup = lookups_.find(ref);
    if (lookup != nullptr && lookup->slot.lane_ == &lane && !lookup->slot.is_held_ && lookup->slot.ticket_ == number) {
      return lookup;
    }
  }
  return nullptr;
}

void Admission::block(const Endpoint& endpoint) { lane_of(endpoint).is_blocked = true; }

void Admission::unblock() noexcept {
  for (auto& [endpoint, lane] : lanes_) {
    lane.is_blocked = false;
  }
}

void Admission::begin_turn() noexcept {
  is_behind_ = false;
  ++turn_;
}

std::vector<LookupRef> Admission::find_unwanted(TimePoint now) {
  std::vector<LookupRef> unwanted;
  if (waiting_ == 0 || now - swept_ < kSweepInterval) {
    return unwanted;
  }
  swept_ = now;
  for (const auto& [endpoint, lane] : lanes_) {
    if (lane.waiting == 0) {
      continue;
    }
    for (const auto& [client, share] : lane.shares) {
      for (const auto* lookup : share.holders) {
        if (!lookup->is_wanted()) {
          unwanted.push_back(lookup->ref);
        }
      }
    }
  }
  return unwanted;
}

void Admission::forget(ClientState& client) {
  for (auto& [endpoint, lane] : lanes_) {
    const auto share = lane.shares.find(&client);
    if (share != lane.shares.end()) {
      lane.waiting -= share->second.waiting.size();
      waiting_ -= share->second.waiting.size();
      lane.shares.erase(share);
    }
  }
}

}  // namespace caravan
