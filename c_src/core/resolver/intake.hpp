#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "core/resolver/address_join.hpp"
#include "core/resolver/client_state.hpp"
#include "core/resolver/lookup.hpp"
#include "core/resolver/lookup_request.hpp"
#include "core/system/hosts_reader.hpp"
#include "core/system/system_config.hpp"

namespace caravan {

// Receives what becomes of requests.
class IntakeObserver {
 public:
  virtual ~IntakeObserver() = default;

  virtual void on_known(const Waiter& waiter, const Reply& reply) = 0;
  // The lookup is new. It may have no nameservers.
  virtual void on_lookup(Lookup& lookup) = 0;
};

// Turns a request into an answer that is known, adds it to an equal lookup that is open, or opens a new lookup. One
// thread owns it.
class Intake {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // The reader of a hosts file calls `wake` on its thread when accept_awaiting() has something to do. `wake` must
  // neither throw nor block.
  Intake(ClientStates& clients, LookupTable& lookups, IntakeObserver& observer, std::function<void()> wake,
         TimePoint now)
      : clients_{clients}, lookups_{lookups}, observer_{observer}, hosts_{std::move(wake)}, now_{now} {}

  // Sets the time that all functions use until the next call.
  void set_time(TimePoint now) noexcept { now_ = now; }

  void accept(LookupRequest& request);
  // Accepts requests whose hosts file has been read, up to a limit. Returns whether more of them can be accepted at
  // once.
  bool accept_awaiting();
  // Ends the requests that wait for a hosts file with `reply`, and closes the joins that have a next name to look up.
  void end_awaiting(const Reply& reply);

  // Looks up the next names of address lookups. Returns false if there were none.
  bool look_up_next_names();
  // Ends the address lookups whose second family is late. Returns the lookups that were opened for the late family.
  std::vector<LookupRef> end_late_families() { return joins_.end_late(now_); }

  // Starts a new lookup for a waiter that had joined a lookup and has more time left than that had.
  void look_up_again(ClientState& state, Inquiry inquiry, Waiter waiter);

  // Returns when accept_awaiting() or end_late_families() must be called at the latest, or nullopt if neither is
  // needed.
  std::optional<TimePoint> next_wake() const noexcept;

  void tidy() noexcept { hosts_.tidy(); }

 private:
  void accept_addresses(ClientState& state, LookupRequest& request);
  void accept_with_hosts(ClientState& state, LookupRequest& request, const HostsFile& hosts);
  void look_up_addresses(ClientState& state, const AddressJoins::JoinRef& join);
  Inquiry inquiry_for(const ClientState& state, LookupRequest& request);
  // Returns the lookup that it opened, or kNoLookup if the waiter was answered at once or joined another lookup.
  LookupRef look_up(ClientState& state, Inquiry inquiry, Waiter waiter);
  bool answer_from_cache(ClientState& state, const Inquiry& inquiry, const Waiter& waiter);
  HostsReader& hosts_of(ClientState& state);

  ClientStates& clients_;
  LookupTable& lookups_;
  IntakeObserver& observer_;
  SystemConfigCache system_;
  HostsReaders hosts_;
  TimePoint now_;
  AddressJoins joins_;
  std::map<HostsReader*, std::deque<LookupRequest>> awaiting_hosts_;  // no queue is empty
};

}  // namespace caravan
