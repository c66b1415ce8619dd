#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/resolver/client.hpp"
#include "core/resolver/lookup.hpp"
#include "core/resolver/reply_cache.hpp"
#include "core/system/hosts_reader.hpp"

namespace caravan {

// The key by which an open lookup is found. It carries the hash, so that the hash is computed once for each lookup.
struct LookupKey {
  const Inquiry& inquiry;
  std::size_t hash;
};

struct LookupHash {
  using is_transparent = void;
  std::size_t operator()(const LookupKey& key) const noexcept { return key.hash; }
  std::size_t operator()(const Lookup* lookup) const noexcept { return lookup->inquiry_hash; }
};

struct SameLookup {
  using is_transparent = void;
  bool operator()(const LookupKey& key, const Lookup* lookup) const noexcept {
    return key.hash == lookup->inquiry_hash && SameInquiry{}(key.inquiry, lookup->inquiry);
  }
  bool operator()(const Lookup* lookup, const LookupKey& key) const noexcept { return (*this)(key, lookup); }
  bool operator()(const Lookup* a, const Lookup* b) const noexcept {
    return a == b || (a->inquiry_hash == b->inquiry_hash && SameInquiry{}(a->inquiry, b->inquiry));
  }
};

// What the resolver's thread keeps for one client. Only that thread uses it.
struct ClientState {
  explicit ClientState(std::shared_ptr<Client> of) : client{std::move(of)} {
    if (client->options.cache) {
      cache.emplace(*client->options.cache);
    }
  }

  const std::shared_ptr<Client> client;
  std::shared_ptr<HostsReader> hosts;  // null until it is needed
  std::optional<ReplyCache> cache;
  // The open lookups that an equal one may join.
  std::unordered_set<Lookup*, LookupHash, SameLookup> joinable;
  std::vector<Lookup*> lookups;  // the open ones
  std::size_t in_flight = 0;     // the number of open lookups that hold a slot
  std::size_t rotation = 0;
  std::size_t awaiting_hosts = 0;  // the number of requests that wait for the hosts file
  bool released = false;           // no caller can submit lookups any more
  bool closed = false;             // open lookups end with kClosed

  // Publishes the counts for readers in other threads.
  void publish_counts() const noexcept {
    client->stats.in_flight.store(in_flight, std::memory_order_relaxed);
    client->stats.queued.store(lookups.size() - in_flight, std::memory_order_relaxed);
  }
};

// The states of all clients. The resolver's thread owns it.
class ClientStates {
 public:
  ClientState& of(const std::shared_ptr<Client>& client) {
    auto& state = states_[client.get()];
    if (!state) {
      state = std::make_unique<ClientState>(client);
    }
    return *state;
  }
  // Returns null if there is no state for the client.
  ClientState* find(const Client* client) noexcept {
    const auto found = states_.find(client);
    return found == states_.end() ? nullptr : found->second.get();
  }

  template <typename Visitor>
  void for_each(Visitor visit) {
    for (auto& [client, state] : states_) {
      visit(*state);
    }
  }

  // Removes the states of released clients without open lookups and waiting requests. Calls `visit` with each before it
  // is destroyed.
  template <typename Visitor>
  void forget_released(Visitor visit) {
    std::erase_if(states_, [&](const auto& entry) {
      auto& state = *entry.second;
      const bool is_over = state.released && state.lookups.empty() && state.awaiting_hosts == 0;
      if (is_over) {
        visit(state);
      }
      return is_over;
    });
  }

 private:
  std::unordered_map<const Client*, std::unique_ptr<ClientState>> states_;
};

}  // namespace caravan
