#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <unordered_map>
#include <vector>

#include "core/resolver/address_join.hpp"
#include "core/resolver/client_state.hpp"
#include "core/resolver/deliveries.hpp"
#include "core/resolver/lookup_driver.hpp"
#include "core/resolver/lookup_table.hpp"
#include "core/resolver/resolver.hpp"
#include "core/resolver/socket_set.hpp"
#include "core/system/system_config.hpp"

namespace caravan {

// The resolver's thread: takes requests, answers them from literals, the hosts file, the cache or a query that is under
// way already, lets the others onto the wire, and hands out answers. Everything in it is owned by that thread. Memory
// that cannot be had ends the process, as it does everywhere in the VM.
class Worker final : ResultObserver {
 public:
  using Clock = std::chrono::steady_clock;

  // `seed` is for the order of SRV records of equal priority.
  Worker(Resolver& resolver, WakePipe& wake, std::uint64_t seed);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker() override = default;

  // Returns when the resolver stops.
  void run() noexcept;

 private:
  void on_result(Lookup& lookup, Reply reply) override;
  void on_silence(Lookup& lookup) override;
  void on_pause_over(Lookup& lookup) override;

  void set_time(Clock::time_point now) noexcept;
  ClientState& state_of(const std::shared_ptr<Client>& client);
  void accept(LookupRequest& request);
  void accept_addresses(ClientState& state, LookupRequest& request);
  void look_up_addresses(ClientState& state, const AddressJoins::JoinRef& join);
  bool look_up_next_names();
  Inquiry inquiry_for(const ClientState& state, const LookupRequest& request);
  // The lookup that was begun for it, if it was not answered at once; kNoLookup when it joined another one.
  LookupRef look_up(ClientState& state, Inquiry inquiry, Waiter waiter);
  void end_late_families();
  bool answer_from_cache(ClientState& state, const Inquiry& inquiry, const Waiter& waiter);
  static void use_nameservers(ClientState& state, Lookup& lookup);
  void enter(Lookup& lookup);
  void enqueue(Lookup& lookup);
  void begin(Lookup& lookup);
  void depart(Resolver::Departure& departure);
  void stop(Resolver::Inbox& inbox);
  void admit();
  void settle();
  void fire_timers();
  void finish(const Waiter& waiter, const Reply& reply);
  void deliver_some();
  Lookup::Waiters close(Lookup& lookup);
  std::vector<Waiter> close_all(const ClientState* of);
  std::optional<std::chrono::milliseconds> time_to_wait() const;

  Resolver& resolver_;
  WakePipe& wake_;
  Clock::time_point now_;
  std::size_t turn_ = 0;    // of the loop
  bool is_behind_ = false;  // something was left for the next turn
  std::mt19937_64 random_;
  SystemConfigCache system_;
  std::unordered_map<const Client*, std::unique_ptr<ClientState>> clients_;
  AddressJoins joins_;
  Deliveries deliveries_;
  LookupTable lookups_;
  SocketSet sockets_;
  LookupDriver driver_;
};

}  // namespace caravan
