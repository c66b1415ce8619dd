#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "core/resolver/endpoint.hpp"
#include "core/resolver/lookup_ref.hpp"

namespace caravan {

struct ClientState;
struct Lookup;
class EndpointMemory;
class LookupTable;

// Decides which lookups may have a question in flight. Each endpoint has a number of slots, and each client may hold at
// most `max_inflight` of them. A lookup that finds no slot waits. Clients take turns, and within a client the lookup
// that asked for a slot first goes first; a retry keeps its position. One thread owns it.
class Admission {
  struct Lane;
  struct Share;

 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // The slot that a lookup holds or waits for.
  class Slot {
   public:
    bool is_held() const noexcept { return is_held_; }

   private:
    friend class Admission;

    Lane* lane_ = nullptr;  // in which it holds a slot or waits for one; null if neither
    Share* share_ = nullptr;
    std::size_t index_ = 0;  // in Share::holders
    bool is_held_ = false;
    std::uint64_t ticket_ = 0;  // orders the waiting lookups; 0 until the lookup first asks for a slot
  };

  // How many waiting lookups of one endpoint get a slot in one turn of the loop.
  static constexpr std::size_t kAdmittedPerTurn = 128;
  // How often find_unwanted() examines the holders of slots.
  static constexpr std::chrono::milliseconds kSweepInterval{100};

  Admission(LookupTable& lookups, EndpointMemory& endpoints) noexcept : lookups_{lookups}, endpoints_{endpoints} {}

  // Gives the lookup a slot of `endpoint`, and takes back a slot of another endpoint. Returns false if no slot is free,
  // or if other lookups of its client wait for one; the lookup then holds no slot.
  bool enter(Lookup& lookup, const Endpoint& endpoint, TimePoint now);
  // Puts the lookup into the queue of `endpoint`, from which admit() returns it. Takes back a slot that it holds.
  void wait(Lookup& lookup, const Endpoint& endpoint);
  // Takes back the slot of the lookup, or removes the lookup from the queue.
  static void leave(Lookup& lookup) noexcept;
  // Like leave(), and moves the lookup behind all others when it next waits.
  static void renew(Lookup& lookup) noexcept;

  // Gives a slot to the next waiting lookup and returns it. Returns null if no lookup can have a slot now.
  Lookup* admit(TimePoint now);
  // Stops giving away slots of `endpoint` until unblock(). The caller has found that no channel to the endpoint has
  // room.
  void block(const Endpoint& endpoint);
  void unblock() noexcept;

  // Starts a turn of the loop, in which each endpoint admits up to kAdmittedPerTurn lookups.
  void begin_turn() noexcept;
  // Returns whether a lookup waits only because its endpoint has admitted kAdmittedPerTurn lookups in this turn.
  bool is_behind() const noexcept { return is_behind_; }

  // Returns the lookups that hold a slot although no caller waits for them, at endpoints where others wait for a slot.
  // Returns an empty vector if the last sweep was less than kSweepInterval ago.
  std::vector<LookupRef> find_unwanted(TimePoint now);
  // Returns when find_unwanted() must be called next, or nullopt while no lookup waits.
  std::optional<TimePoint> next_sweep() const noexcept {
    return waiting_ == 0 ? std::nullopt : std::optional{swept_ + kSweepInterval};
  }

  // Forgets a client, which must have no open lookups.
  void forget(ClientState& client);

 private:
  struct Ticket {
    std::uint64_t number = 0;
    LookupRef lookup;
  };
  // The lookups of one client at one endpoint.
  struct Share {
    std::vector<Lookup*> holders;
    std::deque<Ticket> waiting;  // sorted by number; some belong to lookups that no longer wait
  };
  // The slots of one endpoint and the lookups that wait for them.
  struct Lane {
    Endpoint endpoint;
    std::size_t held = 0;
    std::size_t waiting = 0;  // the number of tickets in all shares
    // Sorted by address, since clients may take turns in any order that does not change.
    std::map<ClientState*, Share, std::less<>> shares;
    ClientState* last_served = nullptr;  // compared only, since the client may be gone
    std::uint64_t turn = 0;              // the turn of the loop in which a lookup was last admitted
    std::size_t admitted = 0;            // in that turn
    bool is_blocked = false;
  };

  Lane& lane_of(const Endpoint& endpoint);
  bool has_room(const Lane& lane, TimePoint now);
  void hold(Lookup& lookup, Lane& lane, Share& share);
  Lookup* admit_from(Lane& lane);
  Lookup* take_first(Lane& lane, Share& share);

  LookupTable& lookups_;
  EndpointMemory& endpoints_;
  std::map<Endpoint, Lane> lanes_;
  Lane* last_lane_ = nullptr;  // the lane that lane_of() returned last
  std::size_t waiting_ = 0;
  std::uint64_t last_ticket_ = 0;
  std::uint64_t turn_ = 0;
  bool is_behind_ = false;
  TimePoint swept_;
};

}  // namespace caravan
