#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "core/attempt_plan.hpp"
#include "core/dns_message.hpp"
#include "core/ip_address.hpp"
#include "core/socket_set.hpp"

namespace caravan {

using Nameservers = std::vector<Nameserver>;

struct LookupOptions {
  // Null: the system's, with its search list. Otherwise 1..kMaxNameservers of them, and names are taken as they are.
  std::shared_ptr<const Nameservers> nameservers;
  Transport transport = Transport::kUdp;
  std::chrono::milliseconds timeout{5000};  // for the whole lookup
};

// Who waits for an answer.
class Receiver {
 public:
  virtual ~Receiver() = default;

  // Called once, on the resolver's thread, for a receiver that still waits.
  virtual void deliver(const Reply& reply) noexcept = 0;

  // Called on the resolver's thread; false drops the lookup.
  virtual bool is_waiting() const noexcept = 0;
};

struct LookupRequest {
  Question question;  // a trailing dot in the name keeps the search list out
  LookupOptions options;
  std::unique_ptr<Receiver> receiver;
  std::chrono::steady_clock::time_point deadline;  // set by submit()
};

// Answers DNS questions on a thread of its own, which alone touches c-ares and the network. The thread starts with the
// first question. All members may be called from any thread.
class Resolver {
 public:
  // Open lookups, waiting ones included.
  static constexpr std::size_t kMaxOpen = 100'000;

  Resolver() = default;
  // Ends open lookups with kClosed and joins the thread.
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Takes the request, or says at once why not. Never blocks for longer than it takes to append to a list.
  std::optional<Error> submit(LookupRequest request) noexcept;

 private:
  friend class Worker;

  struct Inbox {
    // No vector: one that grows under the lock would move all that wait.
    std::deque<LookupRequest> requests;
    bool stop = false;
  };

  // The worker's side: swaps what has come since the last call into `inbox`, and reports what ended since then.
  void exchange(Inbox& inbox, std::size_t ended) noexcept;
  void start();

  std::mutex mutex_;
  Inbox inbox_;                     // guarded by mutex_
  std::size_t open_ = 0;            // guarded by mutex_
  std::unique_ptr<WakePipe> wake_;  // set once, under mutex_, before the thread starts
  std::thread thread_;              // guarded by mutex_
};

}  // namespace caravan
