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

// Takes what comes of requests.
class IntakeObserver {
 public:
  virtual ~IntakeObserver() = default;

  virtual void on_known(const Waiter& waiter, const Reply& reply) = 0;
  // The nameservers of the lookup, of which there may be none, are to be asked.
  virtual void on_lookup(Lookup& lookup) = 0;
};

// From a request to an answer that is known already, to a lookup that is under way, or to a new one. Owned by one
// thread.
class Intake {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // `wake` is called on another thread, and must not throw or wait: accept_awaiting() has something to do.
  Intake(ClientStates& clients, LookupTable& lookups, IntakeObserver& observer, std::function<void()> wake,
         TimePoint now)
      : clients_{clients}, lookups_{lookups}, observer_{observer}, hosts_{std::move(wake)}, now_{now} {}

  // All that happens until the next call happens now.
  void set_time(TimePoint now) noexcept { now_ = now; }

  void accept(LookupRequest& request);
  // Those that wait for what their hosts file says, a part at a time. Returns whether there is more to do at once.
  bool accept_awaiting();
  // Their answer when nobody is asked any more.
  void end_awaiting(const Reply& reply);

  // Of lookups of addresses: the next names of search lists. Returns false if there was none.
  bool look_up_next_names();
  // Ends those that have waited long enough for the second family. Gives the lookups that were begun for it.
  std::vector<LookupRef> end_late_families() { return joins_.end_late(now_); }

  // Those for whom there was no answer in the time of another one's lookup begin anew.
  void look_up_again(ClientState& state, Inquiry inquiry, Waiter waiter);

  // When accept_awaiting() or end_late_families() has something to do at the latest; nothing when neither ever has.
  std::optional<TimePoint> next_wake() const noexcept;

  void tidy() noexcept { hosts_.tidy(); }

 private:
  void accept_addresses(ClientState& state, LookupRequest& request);
  void accept_with_hosts(ClientState& state, LookupRequest& request, const HostsFile& hosts);
  void look_up_addresses(ClientState& state, const AddressJoins::JoinRef& join);
  Inquiry inquiry_for(const ClientState& state, LookupRequest& request);
  // The lookup that was begun for it, if it was not answered at once; kNoLookup when it joined another one.
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
  std::map<HostsReader*, std::deque<LookupRequest>> awaiting_hosts_;  // none is empty
};

}  // namespace caravan
