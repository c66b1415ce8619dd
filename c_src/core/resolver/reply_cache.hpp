#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <unordered_map>

#include "core/resolver/inquiry.hpp"
#include "core/wire/dns_message.hpp"

namespace caravan {

// Caches replies for as long as nameservers allow: answers for their least TTL, negative answers for the time in the
// SOA record (RFC 2308). Never caches failures. Evicts the least recently used entries when it is full. Uses no clock
// and no thread.
class ReplyCache {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  struct Limits {
    std::size_t entries = 1000;
    // In seconds. Bounds how long a wrong answer can last, since a nameserver's TTL may be longer.
    std::uint32_t max_ttl = 3600;
    // In seconds. RFC 2308, section 5, suggests a maximum of one to three hours, which is too long for service
    // discovery.
    std::uint32_t max_negative_ttl = 60;
  };

  // An approximate limit for all entries together. An answer of a thousand records takes some hundred thousand octets.
  static constexpr std::size_t kMaxOctets = std::size_t{64} * 1024 * 1024;

  explicit ReplyCache(Limits limits) noexcept : limits_{limits} {}

  // Returns the reply with its TTLs reduced by its age, or nullopt if there is no valid entry.
  std::optional<Reply> find(const Inquiry& inquiry, TimePoint now);

  // Stores `reply` in place of an earlier one. Stores no failure, no truncated reply and no reply without a TTL, but
  // removes the earlier one also for these.
  void put(const Inquiry& inquiry, const Reply& reply, TimePoint now);

  std::size_t size() const noexcept { return entries_.size(); }

 private:
  struct Entry {
    Inquiry inquiry;
    Reply reply;
    TimePoint stored;
    TimePoint expires;
    std::size_t octets = 0;
  };
  using Entries = std::list<Entry>;  // the most recently used entry comes first

  std::optional<std::uint32_t> lifetime(const Reply& reply) const noexcept;
  void erase(Entries::iterator entry);

  Limits limits_;
  std::size_t octets_ = 0;  // of all entries
  Entries entries_;
  std::unordered_map<Inquiry, Entries::iterator, InquiryHash, SameInquiry> index_;
};

}  // namespace caravan
