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

// nullopt means TCP first for SRV records, and UDP for others.
using TransportChoice = std::optional<Transport>;

// The options of caravan_dns:open/1, whose ranges are checked in c_src/nif.
struct ClientOptions {
  std::shared_ptr<const Nameservers> nameservers;  // null for those of the system
  TransportChoice transport;
  std::chrono::milliseconds timeout{5000};  // for a whole lookup
  std::uint8_t tries = 3;                   // per nameserver and transport
  bool rotate = false;                      // begin each lookup with another nameserver
  std::uint16_t edns_size = kMaxEdnsSize;   // 0 sends no EDNS
  bool mixed_case = false;                  // of questions over UDP
  std::optional<bool> search;  // use the system's search list; nullopt: if the system's nameservers are used
  std::filesystem::path hosts_file{"/etc/hosts"};  // empty for none
  std::size_t max_inflight = 128;                  // per endpoint
  std::size_t max_queue = 100'000;
  bool srv_order = false;
  std::optional<ReplyCache::Limits> cache;
};

// A resolver of a user: its options and statistics. Shared by callers and the resolver's thread.
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

// The place that a lookup holds among the open lookups of a client. The destructor frees it.
class Place {
 public:
  // Returns nullopt if the client has as many open lookups as its options allow.
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

  // Returns null for a default-constructed place, which belongs to no client.
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
