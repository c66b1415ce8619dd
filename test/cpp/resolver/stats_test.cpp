#include "core/resolver/stats.hpp"

#include <set>
#include <string>
#include <vector>

#include "catch.hpp"
#include "support/random_text.hpp"

namespace caravan {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::nanoseconds;

constexpr auto kLast = LatencyHistogram::kBuckets - 1;

std::uint64_t total(const LatencyHistogram& histogram) {
  std::uint64_t sum = 0;
  for (std::size_t bucket = 0; bucket < LatencyHistogram::kBuckets; ++bucket) {
    sum += histogram.count(bucket);
  }
  return sum;
}

// Returns the only bucket that counted it.
std::size_t bucket_of(nanoseconds latency) {
  LatencyHistogram histogram;
  histogram.record(latency);
  REQUIRE(total(histogram) == 1);
  std::size_t bucket = 0;
  while (histogram.count(bucket) == 0) {
    ++bucket;
  }
  return bucket;
}

TEST_CASE("the bounds of the buckets double and the last one has none") {
  CHECK(LatencyHistogram::bound(0) == LatencyHistogram::kFirstBound);
  for (std::size_t bucket = 1; bucket < kLast; ++bucket) {
    CHECK(*LatencyHistogram::bound(bucket) == 2 * *LatencyHistogram::bound(bucket - 1));
  }
  CHECK_FALSE(LatencyHistogram::bound(kLast));
  CHECK_FALSE(LatencyHistogram::bound(kLast + 1));
  // The buckets cover every useful time-out.
  CHECK(*LatencyHistogram::bound(kLast - 1) > std::chrono::seconds{10});
}

TEST_CASE("a bucket takes what is less than its bound and not what is equal") {
  for (std::size_t bucket = 0; bucket < kLast; ++bucket) {
    const auto bound = *LatencyHistogram::bound(bucket);
    CHECK(bucket_of(bound - nanoseconds{1}) == bucket);
    CHECK(bucket_of(bound) == bucket + 1);
  }
}

TEST_CASE("the last bucket takes values above all bounds and the first one negative values") {
  CHECK(bucket_of(hours{24 * 365}) == kLast);
  CHECK(bucket_of(nanoseconds::max()) == kLast);
  CHECK(bucket_of(nanoseconds{0}) == 0);
  CHECK(bucket_of(microseconds{-1}) == 0);
  CHECK(bucket_of(nanoseconds::min()) == 0);
}

TEST_CASE("any latency is between the bounds of its bucket") {
  test::RandomText source{GENERATE(range(0U, 10U))};
  for (int i = 0; i < 200; ++i) {
    const nanoseconds latency{source.below(std::size_t{1} << (1 + source.below(45)))};
    const auto bucket = bucket_of(latency);
    CAPTURE(latency.count(), bucket);
    if (const auto bound = LatencyHistogram::bound(bucket)) {
      REQUIRE(latency < *bound);
    }
    if (bucket > 0) {
      REQUIRE(latency >= *LatencyHistogram::bound(bucket - 1));
    }
  }
}

TEST_CASE("buckets add up") {
  LatencyHistogram histogram;
  CHECK(total(histogram) == 0);
  for (int i = 0; i < 3; ++i) {
    histogram.record(microseconds{1});
  }
  histogram.record(hours{1});
  CHECK(histogram.count(0) == 3);
  CHECK(histogram.count(kLast) == 1);
  CHECK(total(histogram) == 4);
}

TEST_CASE("every counter counts by itself") {
  for (const auto& counted : kCounters) {
    Stats stats;
    stats.count(counted.code);
    stats.count(counted.code);
    for (const auto& info : kCounters) {
      CAPTURE(counted.name, info.name);
      CHECK(stats.get(info.code) == (info.code == counted.code ? 2U : 0U));
    }
    CHECK(stats.answered() == 0);
    CHECK(stats.failed(Error::kNxdomain) == 0);
  }
}

TEST_CASE("answers and every error are counted apart") {
  Stats stats;
  stats.count_outcome(std::nullopt);
  CHECK(stats.answered() == 1);
  for (const auto& counted : kErrors) {
    CHECK(stats.failed(counted.code) == 0);
    stats.count_outcome(counted.code);
    CHECK(stats.failed(counted.code) == 1);
  }
  CHECK(stats.answered() == 1);
}

TEST_CASE("numbers start at zero") {
  const Stats stats;
  CHECK(stats.answered() == 0);
  CHECK(stats.in_flight == 0);
  CHECK(stats.queued == 0);
  CHECK(total(stats.latency) == 0);
}

TEST_CASE("no two counters have the same name") {
  std::set<std::string> names;
  for (const auto& info : kCounters) {
    names.insert(info.name);
  }
  CHECK(names.size() == kCounters.size());
}

}  // namespace
}  // namespace caravan
