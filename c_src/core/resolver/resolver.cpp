#include "core/resolver/resolver.hpp"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <exception>
#include <iterator>
#include <new>
#include <random>
#include <utility>

#include "core/resolver/worker.hpp"

namespace caravan {
namespace {

// How many requests the worker takes in one turn of the loop.
constexpr std::size_t kRequestsPerClient = 64;
constexpr std::size_t kRequestsPerTurn = 2048;

// Blocks all signals while a thread is created. The thread inherits the mask, and signals of the VM must be delivered
// to its own threads.
class BlockedSignals {
 public:
  BlockedSignals() noexcept {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~BlockedSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t before_{};
};

// Otherwise the thread would show the name of the scheduler that created it in top(1) and in profiles.
void name_this_thread() noexcept {
#ifdef __linux__
  ::pthread_setname_np(::pthread_self(), "caravan_dns");
#endif
}

// A thread inherits the CPU affinity of its creator, which may be a scheduler that is bound to one CPU (`+sbt db`). The
// first thread of the process is no scheduler, and has the affinity of the process.
void use_processors_of_process() noexcept {
#ifdef __linux__
  cpu_set_t processors;
  CPU_ZERO(&processors);
  if (::sched_getaffinity(::getpid(), sizeof processors, &processors) == 0) {
    ::sched_setaffinity(0, sizeof processors, &processors);
  }
#endif
}

}  // namespace

Resolver::~Resolver() {
  stop(std::chrono::milliseconds{0});
  if (thread_.joinable()) {
    thread_.join();
  }
}

bool Resolver::stop(std::chrono::milliseconds timeout) noexcept {
  const auto until = std::chrono::steady_clock::now() + timeout;
  const MutexLock lock{mutex_};
  stop_ = true;
  if (!thread_.joinable()) {
    return true;
  }
  wake_->wake();
  while (!has_ended_ && ended_.wait_until(mutex_, until)) {
  }
  return has_ended_;
}

void Resolver::detach(std::shared_ptr<void> owner) noexcept {
  const MutexLock lock{mutex_};
  if (thread_.joinable() && !has_ended_) {
    owner_ = std::move(owner);
    thread_.detach();
  }
}

// The last thing that the thread calls.
void Resolver::end_thread() noexcept {
  // Destroyed after `lock`, since it may own this object.
  std::shared_ptr<void> owner;
  const MutexLock lock{mutex_};
  owner = std::move(owner_);
  has_ended_ = true;
  ended_.notify_all();
}

ClientId Resolver::open(ClientOptions options) {
  auto client = std::make_shared<Client>(std::move(options));
  const MutexLock lock{mutex_};
  clients_.emplace(++last_id_, std::move(client));
  return last_id_;
}

bool Resolver::close(ClientId id) { return leave(id, true); }

void Resolver::release(ClientId id) noexcept try { leave(id, false); } catch (const std::bad_alloc&) {
  // The client stays until the resolver is destroyed.
}

bool Resolver::leave(ClientId id, bool closed) {
  const MutexLock lock{mutex_};
  const auto found = clients_.find(id);
  if (found == clients_.end()) {
    return false;
  }
  // Without a thread there was no lookup, so no other object refers to the client.
  if (thread_.joinable()) {
    // Everything that may throw comes before the first change.
    auto& departure = departures_.emplace_back();
    departure.client = std::move(found->second);
    departure.closed = closed;
    if (closed) {
      if (auto requests = requests_.extract(departure.client.get())) {
        departure.requests = std::move(requests.mapped());
      }
    }
    wake_->wake();
  }
  clients_.erase(found);
  return true;
}

std::shared_ptr<const Client> Resolver::find(ClientId id) const noexcept {
  const MutexLock lock{mutex_};
  const auto found = clients_.find(id);
  return found == clients_.end() ? nullptr : found->second;
}

std::optional<Error> Resolver::submit(ClientId id, LookupRequest request) noexcept try {
  bool wakes = false;
  {
    const MutexLock lock{mutex_};
    if (const auto error = append(id, std::move(request))) {
      return error;
    }
    wakes = std::exchange(sleeps_, false);
  }
  // Outside of the lock, because it is a system call.
  if (wakes) {
    wake_->wake();
  }
  return std::nullopt;
} catch (const std::exception&) {
  return Error::kSystem;
}

std::optional<Error> Resolver::append(ClientId id, LookupRequest request) {
  auto& waiter = request.waiter;
  const auto found = clients_.find(id);
  if (found == clients_.end() || stop_) {
    return Error::kClosed;
  }
  const auto& options = found->second->options;
  if (!can_be_looked_up(request)) {
    found->second->stats.count_outcome(Error::kBadname);
    return Error::kBadname;
  }
  auto place = Place::take(found->second);
  if (!place) {
    found->second->stats.count_outcome(Error::kOverload);
    return Error::kOverload;
  }
  waiter.place = std::move(*place);
  waiter.timeout = request.options.timeout.value_or(options.timeout);
  waiter.deadline = Waiter::Clock::now() + waiter.timeout;
  waiter.srv_order = request.options.srv_order.value_or(options.srv_order);
  if (!thread_.joinable()) {
    start();
  }
  requests_[found->second.get()].push_back(std::move(request));
  return std::nullopt;
}

void Resolver::start() {
  if (!wake_) {
    wake_ = std::make_unique<WakePipe>();
  }
  // Here and not in the thread, because it may throw.
  const std::uint64_t seed = std::random_device{}();
  const BlockedSignals blocked;
  thread_ = std::thread{[this, seed] {
    name_this_thread();
    use_processors_of_process();
    Worker{*this, *wake_, seed}.run();
    end_thread();
  }};
}

bool Resolver::may_sleep() noexcept {
  const MutexLock lock{mutex_};
  sleeps_ = requests_.empty() && departures_.empty() && !stop_;
  return sleeps_;
}

void Resolver::take(Inbox& inbox) noexcept {
  const MutexLock lock{mutex_};
  sleeps_ = false;
  inbox.stop = stop_;
  if (stop_) {
    inbox.left = std::exchange(requests_, {});
  }
  for (auto clients = requests_.size(); clients > 0 && inbox.requests.size() < kRequestsPerTurn; --clients) {
    auto entry = requests_.upper_bound(last_served_);
    if (entry == requests_.end()) {
      entry = requests_.begin();
    }
    last_served_ = entry->first;
    auto& requests = entry->second;
    const auto end = requests.begin() + static_cast<std::ptrdiff_t>(std::min(requests.size(), kRequestsPerClient));
    std::move(requests.begin(), end, std::back_inserter(inbox.requests));
    requests.erase(requests.begin(), end);
    if (requests.empty()) {
      requests_.erase(entry);
    }
  }
  const auto left = std::partition(departures_.begin(), departures_.end(),
                                   [this](const Departure& departure)
                                       CARAVAN_REQUIRES(mutex_) { return requests_.contains(departure.client.get()); });
  std::move(left, departures_.end(), std::back_inserter(inbox.departures));
  departures_.erase(left, departures_.end());
  inbox.has_more = !requests_.empty();
}

}  // namespace caravan
