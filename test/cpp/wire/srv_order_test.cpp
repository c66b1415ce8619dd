#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <vector>

#include "catch.hpp"
#include "core/wire/srv.hpp"
#include "support/random_text.hpp"

namespace caravan {
namespace {

using Ports = std::vector<std::uint16_t>;

constexpr std::uint64_t kSeed = 20'260'101;

// The port tells the records of a test apart.
SrvRecord record(std::uint16_t priority, std::uint16_t weight, std::uint16_t port) {
  SrvRecord record;
  record.priority = priority;
  record.weight = weight;
  record.port = port;
  return record;
}

// Records of one priority, with ports from 0 on.
std::vector<SrvRecord> with_weights(const std::vector<std::uint16_t>& weights) {
  std::vector<SrvRecord> records;
  for (const auto weight : weights) {
    records.push_back(record(0, weight, static_cast<std::uint16_t>(records.size())));
  }
  return records;
}

Ports ordered(std::vector<SrvRecord> records, std::mt19937_64& random) {
  order_srv(records, random);
  Ports ports;
  std::transform(records.begin(), records.end(), std::back_inserter(ports), [](const auto& r) { return r.port; });
  return ports;
}

// How often each record came first.
std::vector<double> shares_of_first(const std::vector<SrvRecord>& records, int draws) {
  std::mt19937_64 random{kSeed};
  std::vector<double> shares(records.size(), 0.0);
  for (int i = 0; i < draws; ++i) {
    shares[ordered(records, random).front()] += 1.0 / draws;
  }
  return shares;
}

bool is_near(double a, double b) { return std::abs(a - b) < 0.01; }

TEST_CASE("no record and a single record are in order") {
  std::mt19937_64 random{kSeed};
  CHECK(ordered({}, random).empty());
  CHECK(ordered({record(7, 0, 1)}, random) == Ports{1});
  CHECK(ordered({record(7, 65'535, 1)}, random) == Ports{1});
}

TEST_CASE("records of a lesser priority come first whatever their weight") {
  std::mt19937_64 random{kSeed};
  const std::vector records{record(65'535, 65'535, 4), record(2, 1000, 3), record(0, 0, 1), record(1, 1, 2)};
  for (int i = 0; i < 100; ++i) {
    REQUIRE(ordered(records, random) == Ports{1, 2, 3, 4});
  }
}

TEST_CASE("the same seed gives the same order and another seed another one") {
  const auto records = with_weights(std::vector<std::uint16_t>(30, 10));
  std::set<Ports> orders;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    std::mt19937_64 first{seed};
    std::mt19937_64 second{seed};
    REQUIRE(ordered(records, first) == ordered(records, second));
    // And goes on in the same way.
    REQUIRE(ordered(records, first) == ordered(records, second));
    std::mt19937_64 random{seed};
    orders.insert(ordered(records, random));
  }
  CHECK(orders.size() == 20);
}

// The probability of an order is that of its first record among all, times that of the second one among the rest, and
// so on, since RFC 2782 draws each record among those that are left.
TEST_CASE("the orders of three records are as frequent as their weights say") {
  constexpr int kDraws = 60'000;
  constexpr std::array<std::uint16_t, 3> kWeights{1, 3, 6};
  const auto records = with_weights({kWeights.begin(), kWeights.end()});
  std::mt19937_64 random{kSeed};
  std::map<Ports, int> counts;
  for (int i = 0; i < kDraws; ++i) {
    ++counts[ordered(records, random)];
  }
  REQUIRE(counts.size() == 6);
  double chi_square = 0;
  for (const auto& [order, count] : counts) {
    double left = 10;
    double expected = kDraws;
    for (const auto port : order) {
      expected *= kWeights[port] / left;
      left -= kWeights[port];
    }
    chi_square += (count - expected) * (count - expected) / expected;
  }
  // With five degrees of freedom more than that comes once in a million.
  CHECK(chi_square < 35.9);
}

TEST_CASE("weights count within a priority and not across") {
  std::vector records{record(1, 1, 0), record(1, 3, 1), record(0, 60'000, 2)};
  std::mt19937_64 random{kSeed};
  constexpr int kDraws = 20'000;
  double heavier_first = 0;
  for (int i = 0; i < kDraws; ++i) {
    const auto order = ordered(records, random);
    REQUIRE(order.front() == 2);
    heavier_first += order[1] == 1 ? 1.0 / kDraws : 0.0;
  }
  CHECK(is_near(heavier_first, 0.75));
}

TEST_CASE("records without weight are chosen evenly when all are so") {
  for (const auto share : shares_of_first(with_weights({0, 0, 0, 0}), 40'000)) {
    CHECK(is_near(share, 0.25));
  }
}

TEST_CASE("records without weight have together the chance of weight one") {
  const auto shares = shares_of_first(with_weights({0, 3, 0, 4}), 40'000);
  CHECK(is_near(shares[0], 0.0625));
  CHECK(is_near(shares[1], 0.375));
  CHECK(is_near(shares[2], 0.0625));
  CHECK(is_near(shares[3], 0.5));
}

TEST_CASE("a record without weight is seldom first but sometimes") {
  const auto shares = shares_of_first(with_weights({0, 100}), 40'000);
  CHECK(shares[0] > 0);
  CHECK(shares[0] < 0.02);
}

TEST_CASE("the order of the answer gives no record an advantage") {
  // The last one as often as the first one.
  for (const auto share : shares_of_first(with_weights({5, 5, 5, 5, 5}), 40'000)) {
    CHECK(is_near(share, 0.2));
  }
}

TEST_CASE("any records come back complete and by priority") {
  test::RandomText source{GENERATE(range(0U, 20U))};
  std::mt19937_64 random{kSeed};
  for (int round = 0; round < 50; ++round) {
    std::vector<SrvRecord> records;
    const auto count = source.below(60);
    for (std::size_t i = 0; i < count; ++i) {
      const auto weight = source.below(3) == 0 ? 0 : source.below(65'536);
      records.push_back(record(static_cast<std::uint16_t>(source.below(5)), static_cast<std::uint16_t>(weight),
                               static_cast<std::uint16_t>(i)));
      records.back().ttl = static_cast<std::uint32_t>(i);
      records.back().target = {static_cast<std::uint32_t>(i), 1};
    }
    auto shuffled = records;
    order_srv(shuffled, random);
    REQUIRE(std::is_sorted(shuffled.begin(), shuffled.end(),
                           [](const auto& a, const auto& b) { return a.priority < b.priority; }));
    std::sort(shuffled.begin(), shuffled.end(), [](const auto& a, const auto& b) { return a.port < b.port; });
    REQUIRE(
        std::equal(shuffled.begin(), shuffled.end(), records.begin(), records.end(), [](const auto& a, const auto& b) {
          return a.port == b.port && a.weight == b.weight && a.priority == b.priority && a.ttl == b.ttl &&
                 a.target.offset == b.target.offset;
        }));
  }
}

}  // namespace
}  // namespace caravan
