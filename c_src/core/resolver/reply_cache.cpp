#include "core/resolver/reply_cache.hpp"

#include <algorithm>
#include <iterator>

namespace caravan {
namespace {

// Removes glue that has expired: its TTL may be shorter than that of the answer.
void age(Reply& reply, std::uint32_t seconds) noexcept {
  std::erase_if(reply.glue, [seconds](const Glue& glue) { return glue.ttl <= seconds; });
  const auto lower = [seconds](std::uint32_t& ttl) { ttl -= std::min(ttl, seconds); };
  if (reply.ttl) {
    lower(*reply.ttl);
  }
  for (auto& record : reply.srv) {
    lower(record.ttl);
  }
  for (auto& record : reply.addresses) {
    lower(record.ttl);
  }
  for (auto& glue : reply.glue) {
    lower(glue.ttl);
  }
}

// Returns the approximate size of an entry.
std::size_t octets_of(const Inquiry& inquiry, const Reply& reply) noexcept {
  return sizeof(Inquiry) + sizeof(Reply) + inquiry.question.name.size() + reply.text.size() +
         reply.srv.size() * sizeof(SrvRecord) + reply.addresses.size() * sizeof(AddressRecord) +
         reply.glue.size() * sizeof(Glue);
}

}  // namespace

std::optional<std::uint32_t> ReplyCache::lifetime(const Reply& reply) const noexcept {
  if (reply.truncated || is_failure(reply) || reply.ttl.value_or(0) == 0) {
    return std::nullopt;
  }
  return std::min(*reply.ttl, reply.error ? limits_.max_negative_ttl : limits_.max_ttl);
}

std::optional<Reply> ReplyCache::find(const Inquiry& inquiry, TimePoint now) {
  const auto found = index_.find(inquiry);
  if (found == index_.end()) {
    return std::nullopt;
  }
  const auto entry = found->second;
  if (entry->expires <= now) {
    erase(entry);
    return std::nullopt;
  }
  entries_.splice(entries_.begin(), entries_, entry);
  Reply reply = entry->reply;
  age(reply, static_cast<std::uint32_t>(std::chrono::floor<std::chrono::seconds>(now - entry->stored).count()));
  return reply;
}

void ReplyCache::put(const Inquiry& inquiry, const Reply& reply, TimePoint now) {
  const auto found = index_.find(inquiry);
  if (found != index_.end()) {
    erase(found->second);
  }
  const auto seconds = lifetime(reply);
  if (!seconds || limits_.entries == 0) {
    return;
  }
  const auto octets = octets_of(inquiry, reply);
  while (!entries_.empty() && (entries_.size() >= limits_.entries || octets_ + octets > kMaxOctets)) {
    erase(std::prev(entries_.end()));
  }
  octets_ += octets;
  entries_.push_front({inquiry, reply, now, now + std::chrono::seconds{*seconds}, octets});
  index_.emplace(inquiry, entries_.begin());
}

void ReplyCache::erase(Entries::iterator entry) {
  octets_ -= entry->octets;
  index_.erase(entry->inquiry);
  entries_.erase(entry);
}

}  // namespace caravan
