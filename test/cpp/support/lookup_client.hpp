#pragma once

#include <atomic>
#include <chrono>
#include <concepts>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/cares.hpp"
#include "core/resolver.hpp"
#include "support/mock_dns_server.hpp"

namespace caravan::test {

// How long a test waits for what must happen: no test depends on it, but a hang ends as a failure.
inline constexpr std::chrono::seconds kHangGuard{60};

template <typename T>
T await(std::future<T> future) {
  if (future.wait_for(kHangGuard) != std::future_status::ready) {
    throw std::runtime_error{"hang: what the test waits for has not happened"};
  }
  return future.get();
}

// The reply that a receiver got; nothing when it was thrown away without one.
using Answer = std::optional<Reply>;

// Keeps one thread until another lets it pass.
class Gate {
 public:
  void open() { promise_.set_value(); }
  void pass() const {
    if (opened_.wait_for(kHangGuard) != std::future_status::ready) {
      throw std::runtime_error{"hang: nobody opens the gate"};
    }
  }

 private:
  std::promise<void> promise_;
  std::shared_future<void> opened_{promise_.get_future()};
};

// Gives the answer to a future.
class PromiseReceiver final : public Receiver {
 public:
  using Waiting = std::shared_ptr<std::atomic<bool>>;

  // `waiting` null: always.
  explicit PromiseReceiver(std::promise<Answer> promise, Waiting waiting = nullptr)
      : promise_{std::move(promise)}, waiting_{std::move(waiting)} {}
  ~PromiseReceiver() override {
    if (!delivered_) {
      promise_.set_value(std::nullopt);
    }
  }
  PromiseReceiver(const PromiseReceiver&) = delete;
  PromiseReceiver& operator=(const PromiseReceiver&) = delete;

  // A second delivery ends the test run.
  void deliver(const Reply& reply) noexcept override {
    promise_.set_value(reply);
    delivered_ = true;
  }
  bool is_waiting() const noexcept override { return !waiting_ || *waiting_; }

 private:
  std::promise<Answer> promise_;
  Waiting waiting_;
  bool delivered_ = false;
};

// The options of a lookup at these servers. The time is more than any of them needs.
template <std::same_as<MockDnsServer>... Server>
LookupOptions at(Transport transport, std::chrono::milliseconds timeout, const Server&... servers) {
  return {std::make_shared<const Nameservers>(Nameservers{servers.nameserver()...}), transport, timeout};
}
template <std::same_as<MockDnsServer>... Server>
LookupOptions at(Transport transport, const Server&... servers) {
  return at(transport, std::chrono::milliseconds{6000}, servers...);
}

// A resolver and its callers.
class LookupClient {
 public:
  std::future<Answer> start(Question question, LookupOptions options, PromiseReceiver::Waiting waiting = nullptr) {
    std::promise<Answer> promise;
    auto future = promise.get_future();
    const auto error = submit(std::move(question), std::move(options),
                              std::make_unique<PromiseReceiver>(std::move(promise), std::move(waiting)));
    if (error) {
      throw std::runtime_error{std::string{"not taken: "} + error_name(*error)};
    }
    return future;
  }

  Reply ask(Question question, LookupOptions options) {
    return await(start(std::move(question), std::move(options))).value();
  }

  std::optional<Error> submit(Question question, LookupOptions options, std::unique_ptr<Receiver> receiver) {
    return resolver_.submit({std::move(question), std::move(options), std::move(receiver), {}});
  }

  // Receivers may still call submit() meanwhile.
  void destroy_resolver() { owned_.reset(); }

 private:
  CaresLibrary cares_;
  std::unique_ptr<Resolver> owned_ = std::make_unique<Resolver>();
  Resolver& resolver_ = *owned_;
};

}  // namespace caravan::test
