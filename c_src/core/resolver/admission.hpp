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

// Which lookups may have a question in flight. Each endpoint has a number of slots, of which each client may hold as
// many as its options say. Those that find none wait for one: clients take turns, and of one client the lookup goes
// first that has waited longest, its earlier attempts counted in. Owned by one thread.
class Admission {
  struct Lane;
  struct Share;

 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // What a lookup has of an endpoint.
  class Slot {
   public:
    bool is_held() const noexcept { return is_held_; }

   private:
    friend class Admission;

    Lane* lane_ = nullptr;  // in which it holds a slot, or waits for one; null: neither
    Share* share_ = nullptr;
    std::size_t index_ = 0;  // in Share::holders
    bool is_held_ = false;
    std::uint64_t ticket_ = 0;  // the lower one goes first; 0: none yet
  };

  // Lookups of one lane that are let go in one turn of the loop.
  static constexpr std::size_t kAdmittedPerTurn = 128;
  // How often those with slots are asked whether somebody waits for them still, where others wait for a slot.
  static constexpr std::chrono::milliseconds kSweepInterval{100};

  Admission(LookupTable& lookups, EndpointMemory& endpoints) noexcept : lookups_{lookups}, endpoints_{endpoints} {}

  // Gives the lookup a slot of the endpoint, and takes back one of another endpoint. Returns false if there is none, or
  // others of its client wait for one.
  bool enter(Lookup& lookup, const Endpoint& endpoint, TimePoint now);
  // The lookup waits for a slot, which admit() gives it.
  void wait(Lookup& lookup, const Endpoint& endpoint);
  // The lookup holds no slot any more, and waits for none.
  static void leave(Lookup& lookup) noexcept;
  // From now on the lookup has waited for no time.
  static void renew(Lookup& lookup) noexcept;

  // The next lookup that waits and gets a slot now. Null if there is none.
  Lookup* admit(TimePoint now);
  // Nobody gets a slot of the endpoint until unblock(): what else a question needs cannot be had.
  void block(const Endpoint& endpoint);
  void unblock() noexcept;

  // A turn of the loop begins.
  void begin_turn() noexcept;
  // Whether somebody waits only since others have had this turn.
  bool is_behind() const noexcept { return is_behind_; }

  // Of those with slots that others wait for: lookups that nobody waits for.
  std::vector<LookupRef> find_forsaken(TimePoint now);
  // When to call that; nothing while nobody waits.
  std::optional<TimePoint> next_sweep() const noexcept {
    return waiting_ == 0 ? std::nullopt : std::optional{swept_ + kSweepInterval};
  }

  // None of the client's lookups is open.
  void forget(ClientState& client);

 private:
  struct Ticket {
    std::uint64_t number = 0;
    LookupRef lookup;
  };
  struct Share {
    std::vector<Lookup*> holders;
    std::deque<Ticket> waiting;  // by number; some of lookups that wait no more
  };
  struct Lane {
    Endpoint endpoint;
    std::size_t held = 0;
    std::size_t waiting = 0;  // the tickets of all shares
    // By address: clients take turns in any order that stays the same.
    std::map<ClientState*, Share, std::less<>> shares;
    ClientState* last_served = nullptr;  // to be compared only
    std::uint64_t turn = 0;              // of the loop, in which somebody was admitted last
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
  Lane* last_lane_ = nullptr;  // that was asked for
  std::size_t waiting_ = 0;
  std::uint64_t last_ticket_ = 0;
  std::uint64_t turn_ = 0;
  bool is_behind_ = false;
  TimePoint swept_;
};

}  // namespace caravan
