#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/resolver/client.hpp"
#include "core/resolver/lookup_request.hpp"
#include "core/resolver/socket_set.hpp"
#include "core/system/mutex.hpp"

namespace caravan {

// Names a client for ever: numbers are not used again.
using ClientId = std::uint64_t;

// Answers DNS questions on a thread of its own, which alone touches c-ares and the network. The thread starts with the
// first question. All members may be called from any thread, and none blocks for longer than it takes to append to a
// list.
class Resolver {
 public:
  Resolver() = default;
  // Ends open lookups with kClosed and joins the thread, unless it was let go.
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Takes no more lookups, ends the open ones with kClosed, and waits for the end of the thread, for so long at most.
  // Returns false if the thread still runs: it has many lookups to end, or waits for a file.
  bool stop(std::chrono::milliseconds patience) noexcept;
  // After stop(): the thread ends by itself, and keeps `owner` until then, to which this may belong.
  void let_go(std::shared_ptr<void> owner) noexcept;

  ClientId open(ClientOptions options);
  // Its open lookups end with kClosed. False when there is none such. Changes nothing when it throws that memory is
  // short.
  bool close(ClientId id);
  // Nobody will ask through it any more; its open lookups are answered still.
  void forsake(ClientId id) noexcept;
  // Null when there is none such.
  std::shared_ptr<const Client> find(ClientId id) const noexcept;

  // Takes the request, or says at once why not.
  std::optional<Error> submit(ClientId id, LookupRequest request) noexcept;

 private:
  friend class Worker;

  // No vector: one that grows under the lock would move all that wait.
  using Requests = std::deque<LookupRequest>;

  struct Departure {
    std::shared_ptr<const Client> client;
    bool closed = false;  // or forsaken
    Requests requests;    // of one that was closed, which nobody has taken
  };
  using RequestsOfClients = std::map<const Client*, Requests>;
  // What the worker takes at a time.
  struct Inbox {
    std::vector<LookupRequest> requests;
    // Come after all requests: a client that has left makes no more.
    std::deque<Departure> departures;
    bool has_more = false;
    bool stop = false;
    // When it is to stop: all requests that nobody has taken.
    RequestsOfClients left;
  };

  // The worker's side: fills `inbox`, which is empty. Of each client it takes a few requests, and of all together no
  // more than a part: neither the other clients nor those who want the lock wait for long.
  void take(Inbox& inbox) noexcept;
  // The worker waits now, unless this returns false: then there is something to take.
  bool may_sleep() noexcept;
  std::optional<Error> append(ClientId id, LookupRequest request) CARAVAN_REQUIRES(mutex_);
  bool leave(ClientId id, bool closed);
  void start() CARAVAN_REQUIRES(mutex_);
  void end_thread() noexcept;

  mutable Mutex mutex_;
  // No hash table: one that grows would keep everybody waiting.
  std::map<ClientId, std::shared_ptr<Client>> clients_ CARAVAN_GUARDED_BY(mutex_);
  ClientId last_id_ CARAVAN_GUARDED_BY(mutex_) = 0;
  RequestsOfClients requests_ CARAVAN_GUARDED_BY(mutex_);           // none is empty
  const Client* last_served_ CARAVAN_GUARDED_BY(mutex_) = nullptr;  // to be compared only
  std::deque<Departure> departures_ CARAVAN_GUARDED_BY(mutex_);
  bool stop_ CARAVAN_GUARDED_BY(mutex_) = false;
  bool sleeps_ CARAVAN_GUARDED_BY(mutex_) = false;  // the thread waits, or is about to, and nobody has woken it
  std::unique_ptr<WakePipe> wake_;                  // set once, under mutex_, before the thread starts
  std::thread thread_ CARAVAN_GUARDED_BY(mutex_);
  bool has_ended_ CARAVAN_GUARDED_BY(mutex_) = false;  // the thread touches this no more, but for mutex_
  Condition ended_;
  std::shared_ptr<void> owner_ CARAVAN_GUARDED_BY(mutex_);  // of a thread that was let go
};

}  // namespace caravan
