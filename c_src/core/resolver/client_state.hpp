#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/resolver/admission.hpp"
#include "core/resolver/client.hpp"
#include "core/resolver/lookup.hpp"
#include "core/resolver/reply_cache.hpp"
#include "core/system/hosts_reader.hpp"

namespace caravan {

// A lookup is found by its inquiry.
inline const Inquiry& inquiry_in(const Inquiry& inquiry) noexcept { return inquiry; }
inline const Inquiry& inquiry_in(const Lookup* lookup) noexcept { return lookup->inquiry; }

struct LookupHash {
  using is_transparent = void;
  template <typename Key>
  std::size_t operator()(const Key& key) const noexcept {
    return InquiryHash{}(inquiry_in(key));
  }
};

struct SameLookup {
  using is_transparent = void;
  template <typename A, typename B>
  bool operator()(const A& a, const B& b) const noexcept {
    return SameInquiry{}(inquiry_in(a), inquiry_in(b));
  }
};

// What the resolver's thread keeps for a client. Owned by that thread.
struct ClientState {
  explicit ClientState(std::shared_ptr<Client> of) : client{std::move(of)}, admission{client->options.max_inflight} {
    if (client->options.cache) {
      cache.emplace(*client->options.cache);
    }
  }

  const std::shared_ptr<Client> client;
  Admission admission;
  std::shared_ptr<HostsReader> hosts;  // null until it is needed
  std::optional<ReplyCache> cache;
  // Lookups that equal ones may join.
  std::unordered_set<Lookup*, LookupHash, SameLookup> joinable;
  std::vector<Lookup*> lookups;  // that are open
  // How many were admitted in this turn of the loop.
  std::size_t turn = 0;
  std::size_t admitted = 0;
  std::size_t rotation = 0;
  std::size_t awaiting_hosts = 0;  // requests
  bool forsaken = false;           // nobody can ask any more
  bool closed = false;             // nor does anybody wait
};

// What is kept for all clients. Owned by the same thread.
class ClientStates {
 public:
  ClientState& of(const std::shared_ptr<Client>& client) {
    auto& state = states_[client.get()];
    if (!state) {
      state = std::make_unique<ClientState>(client);
    }
    return *state;
  }
  // Null if nothing is kept for it.
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

  // Those through which nobody can ask, and for which nothing is under way.
  void forget_forsaken() {
    std::erase_if(states_, [](const auto& entry) {
      const auto& state = *entry.second;
      return state.forsaken && state.lookups.empty() && state.awaiting_hosts == 0;
    });
  }

 private:
  std::unordered_map<const Client*, std::unique_ptr<ClientState>> states_;
};

}  // namespace caravan
