#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <unordered_set>

#include "core/admission.hpp"
#include "core/client.hpp"
#include "core/hosts_file.hpp"
#include "core/lookup.hpp"
#include "core/reply_cache.hpp"
#include "core/system_config.hpp"

namespace caravan {

struct LookupHash : InquiryHash {
  using is_transparent = void;
  using InquiryHash::operator();
  std::size_t operator()(const Lookup* lookup) const noexcept { return (*this)(lookup->inquiry); }
};

struct SameLookup : SameInquiry {
  using is_transparent = void;
  bool operator()(const Lookup* a, const Lookup* b) const noexcept { return (*this)(a->inquiry, *b); }
  bool operator()(const Lookup* a, const Inquiry& b) const noexcept { return (*this)(b, *a); }
  bool operator()(const Inquiry& a, const Lookup* b) const noexcept { return (*this)(a, *b); }
  bool operator()(const Inquiry& a, const Lookup& b) const noexcept { return SameInquiry::operator()(a, b.inquiry); }
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
  std::shared_ptr<const SystemConfig> system;  // by which the cached replies were got
  // Lookups that equal ones may join.
  std::unordered_set<Lookup*, LookupHash, SameLookup> joinable;
  std::size_t lookups = 0;
  std::size_t rotation = 0;
  bool forsaken = false;  // nobody can ask any more
};

}  // namespace caravan
