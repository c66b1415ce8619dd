#include "core/resolver/resolver.hpp"

#include <pthread.h>

#include <csignal>
#include <exception>
#include <utility>

#include "core/resolver/worker.hpp"

namespace caravan {
namespace {

// A thread inherits the signal mask of the one that makes it. The VM's signals belong to the VM's threads.
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

// Else it would bear the name of the scheduler that made it, in top(1) and in profiles.
void name_this_thread() noexcept {
#ifdef __linux__
  ::pthread_setname_np(::pthread_self(), "caravan_dns");
#endif
}

}  // namespace

Resolver::~Resolver() {
  std::thread thread;
  {
    const std::lock_guard lock{mutex_};
    inbox_.stop = true;
    thread = std::move(thread_);
  }
  if (thread.joinable()) {
    wake_->wake();
    thread.join();
  }
}

ClientId Resolver::open(ClientOptions options) {
  auto client = std::make_shared<Client>(std::move(options));
  const std::lock_guard lock{mutex_};
  clients_.emplace(++last_id_, std::move(client));
  return last_id_;
}

bool Resolver::close(ClientId id) noexcept { return leave(id, true); }

void Resolver::forsake(ClientId id) noexcept { leave(id, false); }

bool Resolver::leave(ClientId id, bool closed) noexcept {
  const std::lock_guard lock{mutex_};
  const auto found = clients_.find(id);
  if (found == clients_.end()) {
    return false;
  }
  // Without a thread there was no lookup, and nobody keeps anything for the client.
  if (thread_.joinable()) {
    inbox_.departures.push_back({std::move(found->second), closed});
    wake_->wake();
  }
  clients_.erase(found);
  return true;
}

std::shared_ptr<const Client> Resolver::find(ClientId id) const noexcept {
  const std::lock_guard lock{mutex_};
  const auto found = clients_.find(id);
  return found == clients_.end() ? nullptr : found->second;
}

std::optional<Error> Resolver::submit(ClientId id, LookupRequest request) noexcept try {
  auto& waiter = request.waiter;
  const auto now = Waiter::Clock::now();
  const std::lock_guard lock{mutex_};
  const auto found = clients_.find(id);
  if (found == clients_.end() || inbox_.stop) {
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
  waiter.deadline = now + waiter.timeout;
  waiter.srv_order = request.options.srv_order.value_or(options.srv_order);
  if (!thread_.joinable()) {
    start();
  }
  const bool was_empty = inbox_.requests.empty();
  inbox_.requests.push_back(std::move(request));
  if (was_empty) {
    wake_->wake();
  }
  return std::nullopt;
} catch (const std::exception&) {
  return Error::kSystem;
}

void Resolver::start() {
  if (!wake_) {
    wake_ = std::make_unique<WakePipe>();
  }
  const BlockedSignals blocked;
  thread_ = std::thread{[this] {
    name_this_thread();
    Worker{*this, *wake_}.run();
  }};
}

void Resolver::take(Inbox& inbox) noexcept {
  const std::lock_guard lock{mutex_};
  std::swap(inbox.requests, inbox_.requests);
  std::swap(inbox.departures, inbox_.departures);
  inbox.stop = inbox_.stop;
}

}  // namespace caravan
