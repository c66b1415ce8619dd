#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <unordered_set>

#include "core/resolver/admission.hpp"
#include "core/resolver/client.hpp"
#include "core/resolver/lookup.hpp"
#include "core/resolver/reply_cache.hpp"
#include "core/system/hosts_file.hpp"

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
  explicit ClientState(std::shared_ptr<Client> of)
      : client{std::move(of)}, admission{client->options.max_inflight}, hosts{client->options.hosts_file} {
    if (client->options.cache) {
      cache.emplace(*client->options.cache);
    }
  }

  const std::shared_ptr<Client> client;
  Admission admission;
  HostsFileCache hosts;
  std::optional<ReplyCache> cache;
  // Lookups that equal ones may join.
  std::unordered_set<Lookup*, LookupHash, SameLookup> joinable;
  std::size_t lookups = 0;
  // How many were admitted in this turn of the loop.
  std::size_t turn = 0;
  std::size_t admitted = 0;
  std::size_t rotation = 0;
  bool forsaken = false;  // nobody can ask any more
};

}  // namespace caravan
