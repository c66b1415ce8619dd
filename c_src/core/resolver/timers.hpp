#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace caravan {

// One timer for each of many small numbers. A binary heap, so that setting a timer seldom allocates. One thread owns
// it.
class Timers {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // Sets the timer of `number`, in place of an earlier one.
  void set(std::uint32_t number, TimePoint when);
  void cancel(std::uint32_t number) noexcept;

  // Returns the earliest time, or nullopt if no timer is set.
  std::optional<TimePoint> next() const noexcept;
  // Cancels and returns the number with the earliest time, if that is not after `now`.
  std::optional<std::uint32_t> take_due(TimePoint now) noexcept;

 private:
  struct Timer {
    TimePoint when;
    std::uint32_t number = 0;
  };
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  void put(std::size_t position, Timer timer) noexcept;
  void raise(std::size_t position) noexcept;
  void lower(std::size_t position) noexcept;

  std::vector<Timer> heap_;              // a binary min-heap: the children of n are at 2n + 1 and 2n + 2
  std::vector<std::uint32_t> position_;  // of each number in the heap, or kNone
};

}  // namespace caravan
