#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "core/resolver/attempt_plan.hpp"
#include "core/resolver/reply_cache.hpp"
#include "core/resolver/stats.hpp"
#include "core/wire/dns_message.hpp"
#include "core/wire/ip_address.hpp"

namespace caravan {

// Nothing: TCP first for SRV records, else UDP.
using TransportChoice = std::optional<Transport>;

// What caravan_dns:open/1 takes; the ranges are checked there.
struct ClientOptions {
  std::shared_ptr<const Nameservers> nameservers;  // null: the system's
  TransportChoice transport;
  std::chrono::milliseconds timeout{5000};         // for a whole lookup
  std::uint8_t tries = 3;                          // of each nameserver over a transport
  bool rotate = false;                             // begin with another nameserver every time
  std::uint16_t edns_size = kMaxEdnsSize;          // 0: no EDNS
  bool mixed_case = false;                         // of questions over UDP
  std::optional<bool> search;                      // the system's search list; nothing: with the system's nameservers
  std::filesystem::path hosts_file{"/etc/hosts"};  // empty: none
  std::size_t max_inflight = 128;                  // per endpoint
  std::size_t max_queue = 100'000;
  bool srv_order = false;
  std::optional<ReplyCache::Limits> cache;
};

// One resolver of a user: its options and numbers, shared by callers and the resolver's thread.
class Client {
 public:
  // cppcheck-suppress passedByValue ; it is moved from
  explicit Client(ClientOptions given) noexcept : options{std::move(given)} {}

  const ClientOptions options;
  Stats stats;

 private:
  friend class Place;
  std::atomic<std::size_t> open_{0};
};

// A caller's place among the open lookups of a client, as long as it lives.
class Place {
 public:
  // Nothing when all are taken.
  static std::optional<Place> take(std::shared_ptr<Client> client) noexcept {
    const auto limit = client->options.max_inflight + client->options.max_queue;
    if (client->open_.fetch_add(1, std::memory_order_relaxed) >= limit) {
      client->open_.fetch_sub(1, std::memory_order_relaxed);
      return std::nullopt;
    }
    return Place{std::move(client)};
  }

  Place() = default;
  ~Place() { leave(); }
  Place(Place&& other) noexcept = default;
  Place& operator=(Place&& other) noexcept {
    leave();
    client_ = std::move(other.client_);
    return *this;
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  // Null: nobody's.
  const std::shared_ptr<Client>& client() const noexcept { return client_; }

 private:
  explicit Place(std::shared_ptr<Client> client) noexcept : client_{std::move(client)} {}
  void leave() noexcept {
    if (client_) {
      client_->open_.fetch_sub(1, std::memory_order_relaxed);
      client_.reset();
    }
  }

  std::shared_ptr<Client> client_;
};

}  // namespace caravan
