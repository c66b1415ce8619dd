#include "core/resolver/stats.hpp"

#include <algorithm>
#include <bit>

namespace caravan {

void LatencyHistogram::record(std::chrono::nanoseconds latency) noexcept {
  const auto doublings = std::bit_width(static_cast<std::uint64_t>(std::max(latency, {}) / kFirstBound));
  const auto bucket = std::min<std::size_t>(static_cast<std::size_t>(doublings), kBuckets - 1);
  buckets_[bucket].fetch_add(1, std::memory_order_relaxed);
}

std::optional<std::chrono::microseconds> LatencyHistogram::bound(std::size_t bucket) noexcept {
  if (bucket + 1 >= kBuckets) {
    return std::nullopt;
  }
  return kFirstBound * (std::uint64_t{1} << bucket);
}

}  // namespace caravan
