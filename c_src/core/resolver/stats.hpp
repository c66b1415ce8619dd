#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/wire/error.hpp"

namespace caravan {

// The counters of a resolver. Each name is a key of caravan_dns:stats/1.
enum class Counter : std::uint8_t {
  kQueries,          // questions sent to nameservers
  kRetries,          // of these, repetitions of a question that had brought nothing
  kTcpFallbacks,     // truncated replies over UDP, after which the question was asked over TCP
  kEdnsFallbacks,    // questions repeated without EDNS (RFC 6891), because they had brought nothing with it
  kCoalesced,        // lookups that joined an equal one
  kCacheHits,        // lookups answered from the cache
  kAbandoned,        // lookups whose caller had died
  kChannelRebuilds,  // channels replaced because no reply came over them
};

struct CounterInfo {
  Counter code;
  const char* name;
};

inline constexpr std::array kCounters{
    CounterInfo{Counter::kQueries, "queries"},
    CounterInfo{Counter::kRetries, "retries"},
    CounterInfo{Counter::kTcpFallbacks, "tcp_fallbacks"},
    CounterInfo{Counter::kEdnsFallbacks, "edns_fallbacks"},
    CounterInfo{Counter::kCoalesced, "coalesced"},
    CounterInfo{Counter::kCacheHits, "cache_hits"},
    CounterInfo{Counter::kAbandoned, "abandoned"},
    CounterInfo{Counter::kChannelRebuilds, "channel_rebuilds"},
};

constexpr bool counters_are_in_order() noexcept {
  for (std::size_t i = 0; i < kCounters.size(); ++i) {
    if (static_cast<std::size_t>(kCounters[i].code) != i) {
      return false;
    }
  }
  return true;
}
static_assert(counters_are_in_order(), "kCounters is indexed by Counter");

// The distribution of latencies, in buckets whose bounds double.
class LatencyHistogram {
 public:
  // The upper bound of the first bucket. The last bucket has none.
  static constexpr std::chrono::microseconds kFirstBound{64};
  static constexpr std::size_t kBuckets = 20;

  void record(std::chrono::nanoseconds latency) noexcept;

  std::uint64_t count(std::size_t bucket) const noexcept { return buckets_[bucket].load(std::memory_order_relaxed); }
  // Returns the exclusive upper bound of a bucket, or nullopt for the last one.
  static std::optional<std::chrono::microseconds> bound(std::size_t bucket) noexcept;

 private:
  std::array<std::atomic<std::uint64_t>, kBuckets> buckets_{};
};

// The statistics of one resolver. Other threads read them while they change: each number is correct, but sums may be
// off by the lookups that are under way.
class Stats {
 public:
  void count(Counter counter) noexcept { add(counters_[static_cast<std::size_t>(counter)]); }
  void count_outcome(std::optional<Error> error) noexcept {
    add(error ? errors_[static_cast<std::size_t>(*error)] : answered_);
  }

  std::uint64_t get(Counter counter) const noexcept { return read(counters_[static_cast<std::size_t>(counter)]); }
  std::uint64_t answered() const noexcept { return read(answered_); }
  std::uint64_t failed(Error error) const noexcept { return read(errors_[static_cast<std::size_t>(error)]); }

  LatencyHistogram latency;
  // The numbers of lookups in flight and queued.
  std::atomic<std::size_t> in_flight{0};
  std::atomic<std::size_t> queued{0};

 private:
  using Number = std::atomic<std::uint64_t>;

  static void add(Number& number) noexcept { number.fetch_add(1, std::memory_order_relaxed); }
  static std::uint64_t read(const Number& number) noexcept { return number.load(std::memory_order_relaxed); }

  std::array<Number, kCounters.size()> counters_{};
  std::array<Number, kErrors.size()> errors_{};
  Number answered_{0};
};

}  // namespace caravan
