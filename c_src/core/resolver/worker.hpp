#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "core/resolver/client_state.hpp"
#include "core/resolver/deliveries.hpp"
#include "core/resolver/intake.hpp"
#include "core/resolver/lookup.hpp"
#include "core/resolver/lookup_driver.hpp"
#include "core/resolver/resolver.hpp"
#include "core/resolver/socket_set.hpp"

namespace caravan {

// The resolver's thread. Takes requests, answers them from literals, the hosts file, the cache or an equal open lookup,
// sends questions for the others, and delivers the answers. That thread owns all members. As everywhere in the VM, a
// failed allocation ends the process.
class Worker final : ResultObserver, IntakeObserver {
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
  void on_known(const Waiter& waiter, const Reply& reply) override { finish(waiter, reply); }
  void on_lookup(Lookup& lookup) override;
  void on_result(Lookup& lookup, Reply&& reply) override;

  void set_time(Clock::time_point now) noexcept;
  void depart(Resolver::Departure departure);
  void end_some_of_departed();
  bool end_one(Resolver::Departure& departure);
  void stop(Resolver::Inbox& inbox);
  void settle();
  void fire_timers();
  void finish(const Waiter& waiter, const Reply& reply, std::unique_ptr<Rendering>* shared = nullptr);
  void deliver_some();
  void finish(Lookup::Waiters waiters, const std::shared_ptr<const Reply>& reply);
  Lookup::Waiters close(Lookup& lookup);
  std::optional<std::chrono::milliseconds> time_to_wait() const;

  Resolver& resolver_;
  WakePipe& wake_;
  Clock::time_point now_;
  bool is_behind_ = false;  // there is work left for the next turn
  std::mt19937_64 random_;
  ClientStates clients_;
  Deliveries deliveries_;
  std::deque<Resolver::Departure> departed_;  // closed clients with lookups or requests that have not been ended
  LookupTable lookups_;
  Intake intake_;
  SocketSet sockets_;
  LookupDriver driver_;
};

}  // namespace caravan
