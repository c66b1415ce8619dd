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

#include "core/resolver/resolver.hpp"
#include "core/system/cares.hpp"
#include "support/gate.hpp"
#include "support/mock_dns_server.hpp"

namespace caravan::test {

template <typename T>
T await(std::future<T> future) {
  if (future.wait_for(kHangGuard) != std::future_status::ready) {
    throw std::runtime_error{"hang: what the test waits for has not happened"};
  }
  return future.get();
}

// The reply that a receiver got, or nullopt if it was destroyed without one.
using Answer = std::optional<Reply>;

// Passes the answer to a future.
class PromiseReceiver final : public Receiver {
 public:
  using Waiting = std::shared_ptr<std::atomic<bool>>;

  // If `waiting` is null, the receiver always waits.
  explicit PromiseReceiver(std::promise<Answer> promise, Waiting waiting = nullptr)
      : promise_{std::move(promise)}, waiting_{std::move(waiting)} {}
  ~PromiseReceiver() override {
    if (!delivered_) {
      promise_.set_value(std::nullopt);
    }
  }
  PromiseReceiver(const PromiseReceiver&) = delete;
  PromiseReceiver& operator=(const PromiseReceiver&) = delete;

  // A second delivery aborts the test run.
  Interest deliver(const Reply& reply, std::unique_ptr<Rendering>*) noexcept override {
    if (interest() != Interest::kWaiting) {
      return interest();
    }
    promise_.set_value(reply);
    delivered_ = true;
    return Interest::kWaiting;
  }
  Interest interest() const noexcept override {
    return !waiting_ || *waiting_ ? Interest::kWaiting : Interest::kCancelled;
  }

 private:
  std::promise<Answer> promise_;
  Waiting waiting_;
  bool delivered_ = false;
};

// The options of a lookup at these servers, with a timeout longer than any of them needs.
template <std::same_as<MockDnsServer>... Server>
LookupOptions at(Transport transport, std::chrono::milliseconds timeout, const Server&... servers) {
  return {std::make_shared<const Nameservers>(Nameservers{servers.nameserver()...}), transport, timeout, {}};
}
template <std::same_as<MockDnsServer>... Server>
LookupOptions at(Transport transport, const Server&... servers) {
  return at(transport, std::chrono::milliseconds{6000}, servers...);
}

// The options of a client that asks each of these servers once and waits as long as a test does, so that no question is
// repeated on a slow machine.
template <std::same_as<MockDnsServer>... Server>
ClientOptions once_at(const Server&... servers) {
  ClientOptions options;
  options.nameservers = std::make_shared<const Nameservers>(Nameservers{servers.nameserver()...});
  options.transport = Transport::kUdp;
  options.timeout = kHangGuard;
  options.tries = 1;
  options.hosts_file.clear();
  return options;
}

constexpr LookupType lookup_type(RecordType type) noexcept {
  switch (type) {
    case RecordType::kA:
      return LookupType::kA;
    case RecordType::kAaaa:
      return LookupType::kAaaa;
    default:
      return LookupType::kSrv;
  }
}

// A resolver and its callers.
class LookupClient {
 public:
  explicit LookupClient(ClientOptions options = {}) : id_{resolver_.open(std::move(options))} {}
  // Adds a client to the resolver of another one.
  LookupClient(LookupClient& other, ClientOptions options)
      : owned_{nullptr}, resolver_{other.resolver_}, id_{resolver_.open(std::move(options))} {}

  std::future<Answer> start(Question question, LookupOptions options = {}, PromiseReceiver::Waiting waiting = nullptr) {
    return start(lookup_type(question.type), std::move(question.name), std::move(options), std::move(waiting));
  }
  std::future<Answer> start(LookupType type, std::string name, LookupOptions options = {},
                            PromiseReceiver::Waiting waiting = nullptr) {
    std::promise<Answer> promise;
    auto future = promise.get_future();
    const auto error = submit(type, std::move(name), std::move(options),
                              std::make_unique<PromiseReceiver>(std::move(promise), std::move(waiting)));
    if (error) {
      throw std::runtime_error{std::string{"not taken: "} + error_name(*error)};
    }
    return future;
  }

  Reply ask(Question question, LookupOptions options = {}) {
    return await(start(std::move(question), std::move(options))).value();
  }
  Reply ask(LookupType type, std::string name, LookupOptions options = {}) {
    return await(start(type, std::move(name), std::move(options))).value();
  }

  std::optional<Error> submit(Question question, LookupOptions options, std::unique_ptr<Receiver> receiver) {
    return submit(lookup_type(question.type), std::move(question.name), std::move(options), std::move(receiver));
  }
  std::optional<Error> submit(LookupType type, std::string name, LookupOptions options,
                              std::unique_ptr<Receiver> receiver) {
    LookupRequest request{type, std::move(name), std::move(options), {}};
    request.waiter.receiver = std::move(receiver);
    return resolver_.submit(id_, std::move(request));
  }

  // Returns when the resolver's thread has finished all work that was submitted before, including its statistics.
  void settle() {
    LookupClient other{*this, {}};
    // The second lookup is taken after what came with the first one has been sent. Each lookup lets a part of a busy
    // client's requests through.
    for (int round = 0; round < 200; ++round) {
      other.ask(LookupType::kAddresses, "127.0.0.1");
    }
    other.close();
  }

  // Null if the client is closed.
  std::shared_ptr<const Client> find() const noexcept { return resolver_.find(id_); }
  // Returns why the resolver rejects the lookup, or nullopt if it accepts it.
  std::optional<Error> refusal(LookupType type, std::string name, LookupOptions options = {}) {
    return submit(type, std::move(name), std::move(options), std::make_unique<PromiseReceiver>(std::promise<Answer>{}));
  }

  // The statistics of the client, also after it was closed.
  const Stats& stats() const noexcept { return client_->stats; }
  bool close() { return resolver_.close(id_); }
  void release() { resolver_.release(id_); }

  // Receivers may call submit() while this runs.
  void destroy_resolver() { owned_.reset(); }

 private:
  CaresLibrary cares_;
  std::unique_ptr<Resolver> owned_ = std::make_unique<Resolver>();
  Resolver& resolver_ = *owned_;
  ClientId id_;
  std::shared_ptr<const Client> client_ = resolver_.find(id_);
};

}  // namespace caravan::test
