#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "catch.hpp"
#include "core/resolver/reply_cache.hpp"
#include "support/random_text.hpp"

// Compares the cache with a model that searches all its entries.
namespace caravan {
namespace {

using TimePoint = ReplyCache::TimePoint;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr ReplyCache::Limits kLimits{5, 40, 20};
constexpr TimePoint kStart{std::chrono::hours{1}};

Inquiry about(const std::string& name) {
  Inquiry inquiry;
  inquiry.question.name = name;
  return inquiry;
}

class NaiveCache {
 public:
  // The remaining TTL.
  std::optional<std::uint32_t> find(const std::string& key, TimePoint now) {
    const auto entry = position(key);
    if (entry == entries_.end()) {
      return std::nullopt;
    }
    const auto ttl = *entry->reply.ttl;
    const auto believed = std::min(ttl, entry->reply.error ? kLimits.max_negative_ttl : kLimits.max_ttl);
    if (now - entry->stored >= seconds{believed}) {
      entries_.erase(entry);
      return std::nullopt;
    }
    const auto kept = *entry;
    entries_.erase(entry);
    entries_.push_back(kept);
    return ttl - static_cast<std::uint32_t>((now - kept.stored) / seconds{1});
  }

  void put(const std::string& key, const Reply& reply, TimePoint now) {
    if (const auto entry = position(key); entry != entries_.end()) {
      entries_.erase(entry);
    }
    if (reply.truncated || reply.ttl.value_or(0) == 0 || (reply.error && !is_negative_answer(*reply.error))) {
      return;
    }
    if (entries_.size() == kLimits.entries) {
      entries_.erase(entries_.begin());
    }
    entries_.push_back({key, reply, now});
  }

  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string key;
    Reply reply;
    TimePoint stored;
  };
  using Entries = std::vector<Entry>;  // the most recently used one comes last

  Entries::iterator position(const std::string& key) {
    return std::find_if(entries_.begin(), entries_.end(), [&](const auto& entry) { return entry.key == key; });
  }

  Entries entries_;
};

Reply any_reply(test::RandomText& source) {
  Reply reply;
  if (source.below(3) == 0) {
    reply.error = kErrors[source.below(5)].code;
  }
  if (source.below(8) != 0) {
    reply.ttl = static_cast<std::uint32_t>(source.below(60));
  }
  reply.truncated = source.below(10) == 0;
  return reply;
}

TEST_CASE("the cache agrees with a simple model") {
  test::RandomText source{GENERATE(range(0U, 30U))};
  ReplyCache cache{kLimits};
  NaiveCache model;
  auto now = kStart;
  std::size_t found = 0;
  for (int step = 0; step < 2000; ++step) {
    CAPTURE(step);
    const auto key = std::string(1, static_cast<char>('a' + source.below(9)));
    const auto action = source.below(100);
    if (action < 50) {
      const auto reply = cache.find(about(key), now);
      REQUIRE((reply ? reply->ttl : std::nullopt) == model.find(key, now));
      found += reply ? 1U : 0U;
    } else if (action < 80) {
      const auto reply = any_reply(source);
      cache.put(about(key), reply, now);
      model.put(key, reply, now);
    } else {
      now += milliseconds{source.below(4000)};
    }
    REQUIRE(cache.size() == model.size());
    REQUIRE(cache.size() <= kLimits.entries);
  }
  // Otherwise the comparison would test little.
  CHECK(found > 100);
}

}  // namespace
}  // namespace caravan
