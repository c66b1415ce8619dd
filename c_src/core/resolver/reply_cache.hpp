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

// Remembers what nameservers said for as long as they allow: answers for their least TTL, "there is none" for the time
// in the SOA (RFC 2308). What nobody said, failures above all, is not remembered. Bounded; the entry that was not asked
// for longest goes first. Knows no clock and no thread.
class ReplyCache {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  struct Limits {
    std::size_t entries = 1000;
    // A nameserver's TTL may be longer: a wrong answer is then believed no longer than this. Seconds.
    std::uint32_t max_ttl = 3600;
    // RFC 2308, section 5, suggests one to three hours as the most; discovery cannot wait for that. Seconds.
    std::uint32_t max_negative_ttl = 60;
  };

  // Of all that is remembered, about. Answers of a thousand records have some hundred thousand.
  static constexpr std::size_t kMaxOctets = std::size_t{64} * 1024 * 1024;

  explicit ReplyCache(Limits limits) noexcept : limits_{limits} {}

  // What was said, its TTLs lowered by the time since.
  std::optional<Reply> find(const Inquiry& inquiry, TimePoint now);

  // `reply` is complete: one that was cut must not keep others from asking for the rest.
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
  using Entries = std::list<Entry>;  // the one asked for last comes first

  std::optional<std::uint32_t> lifetime(const Reply& reply) const noexcept;
  void erase(Entries::iterator entry);

  Limits limits_;
  std::size_t octets_ = 0;  // of all entries
  Entries entries_;
  std::unordered_map<Inquiry, Entries::iterator, InquiryHash, SameInquiry> index_;
};

}  // namespace caravan
