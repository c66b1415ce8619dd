#include "core/resolver.hpp"

#include <pthread.h>

#include <csignal>
#include <exception>
#include <utility>

#include "core/worker.hpp"

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

std::optional<Error> Resolver::submit(LookupRequest request) noexcept try {
  request.deadline = std::chrono::steady_clock::now() + request.options.timeout;
  const std::lock_guard lock{mutex_};
  if (inbox_.stop) {
    return Error::kClosed;
  }
  if (open_ >= kMaxOpen) {
    return Error::kOverload;
  }
  if (!thread_.joinable()) {
    start();
  }
  const bool was_empty = inbox_.requests.empty();
  inbox_.requests.push_back(std::move(request));
  ++open_;
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
  thread_ = std::thread{[this] { Worker{*this, *wake_}.run(); }};
}

void Resolver::exchange(Inbox& inbox, std::size_t ended) noexcept {
  inbox.requests.clear();
  const std::lock_guard lock{mutex_};
  open_ -= ended;
  std::swap(inbox.requests, inbox_.requests);
  inbox.stop = inbox_.stop;
}

}  // namespace caravan
