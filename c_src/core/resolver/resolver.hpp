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

// Identifies a client. Numbers are never reused.
using ClientId = std::uint64_t;

// Answers DNS questions on its own thread, which alone uses c-ares and the network. The first lookup starts the thread.
// All member functions may be called from any thread. None but stop() and the destructor blocks for longer than it
// takes to append to a list.
class Resolver {
 public:
  Resolver() = default;
  // Ends open lookups with kClosed and joins the thread, unless it was detached.
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Rejects new lookups, ends the open ones with kClosed, and waits until the thread has ended, at most for `timeout`.
  // Returns false if the thread still runs, because it has many lookups to end or is blocked on a file.
  bool stop(std::chrono::milliseconds timeout) noexcept;
  // Lets the thread end on its own after stop() has returned false. The thread keeps `owner`, which may own this
  // object, until then.
  void detach(std::shared_ptr<void> owner) noexcept;

  ClientId open(ClientOptions options);
  // Closes a client, and ends its open lookups with kClosed. Returns false if there is no such client. Throws
  // std::bad_alloc without having changed anything.
  bool close(ClientId id);
  // Records that no caller can use the client any more. Its open lookups go on.
  void release(ClientId id) noexcept;
  // Returns null if there is no such client.
  std::shared_ptr<const Client> find(ClientId id) const noexcept;

  // Queues a request. Returns nullopt on success. Otherwise returns kClosed if there is no such client or stop() was
  // called, kBadname, kOverload if the client has too many open lookups, or kSystem if memory, a thread or a descriptor
  // is missing.
  std::optional<Error> submit(ClientId id, LookupRequest request) noexcept;

 private:
  friend class Worker;

  // A deque, because a vector would move all requests when it grows, while the lock is held.
  using Requests = std::deque<LookupRequest>;

  struct Departure {
    std::shared_ptr<const Client> client;
    bool closed = false;  // false if it was released
    Requests requests;    // the requests of a closed client that the worker has not taken
  };
  using RequestsOfClients = std::map<const Client*, Requests>;
  // What the worker takes in one turn.
  struct Inbox {
    std::vector<LookupRequest> requests;
    // Applied after all requests. None of these clients has requests left.
    std::deque<Departure> departures;
    bool has_more = false;
    bool stop = false;
    // The requests that the worker has not taken, if `stop` is set.
    RequestsOfClients left;
  };

  // Called by the worker. Fills `inbox`, which must be empty. Limits the requests of each client, so that clients take
  // turns, and of all clients, so that other threads do not wait long for the lock.
  void take(Inbox& inbox) noexcept;
  // Called by the worker before it waits. Returns false if there is something to take.
  bool may_sleep() noexcept;
  std::optional<Error> append(ClientId id, LookupRequest request) CARAVAN_REQUIRES(mutex_);
  bool leave(ClientId id, bool closed);
  void start() CARAVAN_REQUIRES(mutex_);
  void end_thread() noexcept;

  mutable Mutex mutex_;
  // A map, because a hash table would rehash all clients while the lock is held.
  std::map<ClientId, std::shared_ptr<Client>> clients_ CARAVAN_GUARDED_BY(mutex_);
  ClientId last_id_ CARAVAN_GUARDED_BY(mutex_) = 0;
  RequestsOfClients requests_ CARAVAN_GUARDED_BY(mutex_);           // no queue is empty
  const Client* last_served_ CARAVAN_GUARDED_BY(mutex_) = nullptr;  // compared only, since it may be gone
  std::deque<Departure> departures_ CARAVAN_GUARDED_BY(mutex_);
  bool stop_ CARAVAN_GUARDED_BY(mutex_) = false;
  bool sleeps_ CARAVAN_GUARDED_BY(mutex_) = false;  // the thread waits or is about to, and was not woken
  std::unique_ptr<WakePipe> wake_;                  // set once, under mutex_, before the thread starts
  std::thread thread_ CARAVAN_GUARDED_BY(mutex_);
  bool has_ended_ CARAVAN_GUARDED_BY(mutex_) = false;  // the thread uses only mutex_ from then on
  Condition ended_;
  std::shared_ptr<void> owner_ CARAVAN_GUARDED_BY(mutex_);  // of a detached thread
};

}  // namespace caravan
