#include "core/resolver/reply_cache.hpp"

#include <chrono>
#include <string>

#include "catch.hpp"
#include "support/reply_text.hpp"

namespace caravan {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

using test::address_lines;
using test::glue_lines;
using test::outcome;
using test::srv_lines;

using test::Lines;

// An arbitrary point in time: the cache has no clock.
constexpr ReplyCache::TimePoint kStart{std::chrono::hours{1}};

Inquiry about(const std::string& name) {
  Inquiry inquiry;
  inquiry.question.name = name;
  return inquiry;
}

Reply answer(std::uint32_t ttl) {
  Reply reply;
  reply.ttl = ttl;
  reply.addresses.push_back({*parse_ip_address("10.0.0.1"), ttl});
  return reply;
}

Reply negative(Error error, std::optional<std::uint32_t> ttl) {
  auto reply = failed_reply(error);
  reply.ttl = ttl;
  return reply;
}

bool has(ReplyCache& cache, const std::string& key, ReplyCache::TimePoint now = kStart) {
  return cache.find(about(key), now).has_value();
}

TEST_CASE("a reply that was never put is not found") {
  ReplyCache cache{{}};
  cache.put(about("a"), answer(30), kStart);
  CHECK_FALSE(has(cache, "b"));
  CHECK_FALSE(has(cache, ""));
  CHECK(has(cache, "a"));
}

TEST_CASE("an answer is found by the same inquiry in any case and by no other") {
  ReplyCache cache{{}};
  cache.put(about("App.Example"), answer(30), kStart);
  CHECK(has(cache, "aPP.example"));
  CHECK_FALSE(has(cache, "app.example."));
  auto other = about("app.example");
  other.question.type = RecordType::kA;
  CHECK_FALSE(cache.find(other, kStart));
  cache.put(about("APP.EXAMPLE"), answer(40), kStart);
  CHECK(cache.size() == 1);
  CHECK(cache.find(about("app.example"), kStart)->ttl == 40U);
}

TEST_CASE("an answer is kept for its TTL and no longer") {
  ReplyCache cache{{}};
  cache.put(about("a"), answer(30), kStart);
  CHECK(has(cache, "a", kStart + seconds{30} - milliseconds{1}));
  CHECK_FALSE(has(cache, "a", kStart + seconds{30}));
  CHECK(cache.size() == 0);
}

TEST_CASE("the TTLs of a cached answer are reduced by its age") {
  ReplyCache cache{{}};
  Reply reply;
  reply.ttl = 30;
  reply.text = "n1.examplen2.example";
  const TextRef n1{0, 10};
  const TextRef n2{10, 10};
  reply.srv = {{1, 2, 4370, 30, n1}, {1, 2, 4371, 40, n2}};
  reply.addresses = {{*parse_ip_address("10.0.0.1"), 50}};
  // The TTL of the answer does not include that of glue, which may be lower.
  reply.glue = {{n1, *parse_ip_address("10.0.0.2"), 12}, {n2, *parse_ip_address("10.0.0.3"), 13}};
  cache.put(about("a"), reply, kStart);

  const auto later = cache.find(about("a"), kStart + milliseconds{12'999});
  REQUIRE(later);
  CHECK(later->ttl == 18U);
  CHECK(srv_lines(*later) == Lines{"1 2 4370 n1.example 18", "1 2 4371 n2.example 28"});
  CHECK(address_lines(*later) == Lines{"10.0.0.1 38"});
  CHECK(glue_lines(*later) == Lines{"n2.example 10.0.0.3 1"});

  // The age counts from put(), not from the last find().
  CHECK(cache.find(about("a"), kStart + seconds{20})->ttl == 10U);
  CHECK(cache.find(about("a"), kStart + seconds{29})->ttl == 1U);
}

TEST_CASE("all else of a cached answer is unchanged") {
  ReplyCache cache{{}};
  auto reply = answer(30);
  reply.complete = GENERATE(false, true);
  cache.put(about("a"), reply, kStart);
  const auto found = cache.find(about("a"), kStart);
  REQUIRE(found);
  CHECK(outcome(*found) == "ok");
  CHECK(found->complete == reply.complete);
  CHECK(found->ttl == 30U);
  CHECK(address_lines(*found) == Lines{"10.0.0.1 30"});
}

TEST_CASE("an answer with a TTL of zero is not kept") {
  ReplyCache cache{{}};
  cache.put(about("a"), answer(0), kStart);
  Reply without_ttl = answer(30);
  without_ttl.ttl.reset();
  cache.put(about("b"), without_ttl, kStart);
  CHECK(cache.size() == 0);
}

TEST_CASE("a negative answer is kept for as long as the server says") {
  const auto error = GENERATE(Error::kNxdomain, Error::kNodata);
  ReplyCache cache{{}};
  cache.put(about("a"), negative(error, 20), kStart);
  const auto found = cache.find(about("a"), kStart + milliseconds{19'999});
  REQUIRE(found);
  CHECK(found->error == error);
  CHECK(found->ttl == 1U);
  CHECK_FALSE(has(cache, "a", kStart + seconds{20}));

  // The nameserver may omit the SOA record.
  cache.put(about("b"), negative(error, std::nullopt), kStart);
  CHECK_FALSE(has(cache, "b"));
  cache.put(about("c"), negative(error, 0), kStart);
  CHECK_FALSE(has(cache, "c"));
}

TEST_CASE("failures are not kept") {
  for (const auto& info : kErrors) {
    CAPTURE(info.name);
    ReplyCache cache{{}};
    cache.put(about("a"), negative(info.code, 30), kStart);
    CHECK(has(cache, "a") == is_negative_answer(info.code));
  }
}

TEST_CASE("a truncated answer is not kept") {
  ReplyCache cache{{}};
  auto reply = answer(30);
  reply.truncated = true;
  cache.put(about("a"), reply, kStart);
  CHECK(cache.size() == 0);
}

TEST_CASE("no answer is kept beyond the limit") {
  ReplyCache cache{{10, 100, 7}};
  cache.put(about("long"), answer(86'400), kStart);
  cache.put(about("short"), answer(50), kStart);
  cache.put(about("none"), negative(Error::kNxdomain, 86'400), kStart);
  cache.put(about("briefly none"), negative(Error::kNodata, 3), kStart);

  CHECK(has(cache, "long", kStart + seconds{100} - milliseconds{1}));
  CHECK_FALSE(has(cache, "long", kStart + seconds{100}));
  CHECK(has(cache, "short", kStart + seconds{50} - milliseconds{1}));
  CHECK_FALSE(has(cache, "short", kStart + seconds{50}));
  CHECK(has(cache, "none", kStart + seconds{7} - milliseconds{1}));
  CHECK_FALSE(has(cache, "none", kStart + seconds{7}));
  CHECK(has(cache, "briefly none", kStart + seconds{3} - milliseconds{1}));
  CHECK_FALSE(has(cache, "briefly none", kStart + seconds{3}));
}

TEST_CASE("the greatest TTL of all does not overflow") {
  ReplyCache cache{{10, 0xFFFF'FFFF, 0xFFFF'FFFF}};
  cache.put(about("a"), answer(0xFFFF'FFFF), kStart);
  CHECK(cache.find(about("a"), kStart + seconds{1})->ttl == 0xFFFF'FFFE);
  CHECK_FALSE(has(cache, "a", kStart + seconds{0xFFFF'FFFF}));
}

TEST_CASE("limits of zero keep nothing") {
  ReplyCache no_room{{0, 100, 100}};
  no_room.put(about("a"), answer(30), kStart);
  CHECK(no_room.size() == 0);

  ReplyCache no_time{{10, 0, 0}};
  no_time.put(about("a"), answer(30), kStart);
  no_time.put(about("b"), negative(Error::kNodata, 30), kStart);
  CHECK_FALSE(has(no_time, "a"));
  CHECK_FALSE(has(no_time, "b"));
}

TEST_CASE("a full cache evicts the least recently used entry") {
  ReplyCache cache{{3, 3600, 60}};
  for (const auto* key : {"a", "b", "c"}) {
    cache.put(about(key), answer(30), kStart);
  }
  REQUIRE(has(cache, "a"));
  cache.put(about("d"), answer(30), kStart);
  CHECK(cache.size() == 3);
  CHECK_FALSE(has(cache, "b"));
  CHECK(has(cache, "c"));
  CHECK(has(cache, "d"));
  CHECK(has(cache, "a"));
}

TEST_CASE("replacing an entry evicts no other one") {
  ReplyCache cache{{2, 3600, 60}};
  cache.put(about("a"), answer(30), kStart);
  cache.put(about("b"), answer(30), kStart);
  cache.put(about("a"), answer(50), kStart + seconds{10});
  CHECK(cache.size() == 2);
  CHECK(has(cache, "b"));
  CHECK(cache.find(about("a"), kStart + seconds{20})->ttl == 40U);
  // "b" was used before "a".
  cache.put(about("c"), answer(30), kStart);
  CHECK_FALSE(has(cache, "b"));
}

TEST_CASE("a reply that may not be kept removes the earlier one") {
  ReplyCache cache{{}};
  cache.put(about("a"), answer(30), kStart);
  cache.put(about("a"), answer(0), kStart);
  CHECK_FALSE(has(cache, "a"));
}

TEST_CASE("the cache is bounded in octets and evicts the oldest answer") {
  ReplyCache cache{{}};
  auto large = answer(30);
  large.text.resize(ReplyCache::kMaxOctets / 4);
  for (int i = 0; i < 10; ++i) {
    cache.put(about("a" + std::to_string(i)), large, kStart);
  }
  CHECK(cache.size() == 3);
  CHECK(has(cache, "a9"));
  CHECK_FALSE(has(cache, "a6"));
  cache.put(about("b"), answer(30), kStart);
  CHECK(cache.size() == 4);
}

TEST_CASE("an answer under another configuration is not used, however late it comes") {
  ReplyCache cache{{}};
  auto before = about("a");
  before.system = std::make_shared<const SystemConfig>();
  auto since = about("a");
  since.system = std::make_shared<const SystemConfig>();
  cache.put(since, answer(30), kStart);
  cache.put(before, answer(60), kStart);
  CHECK(cache.find(since, kStart).value().ttl == 30U);
  since.system = std::make_shared<const SystemConfig>();
  CHECK_FALSE(cache.find(since, kStart));
}

}  // namespace
}  // namespace caravan
