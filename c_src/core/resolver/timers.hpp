#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace caravan {

// One timer for each of many numbers, which are small: a heap, so that to set a timer takes no memory of its own. Owned
// by one thread.
class Timers {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // In place of the time that was set for the number before.
  void set(std::uint32_t number, TimePoint when);
  void cancel(std::uint32_t number) noexcept;

  // The earliest time; nothing when none is set.
  std::optional<TimePoint> next() const noexcept;
  // Cancels and gives the number with the earliest time if that has come.
  std::optional<std::uint32_t> take_due(TimePoint now) noexcept;

 private:
  struct Timer {
    TimePoint when;
    std::uint32_t number = 0;
  };
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  void put(std::size_t place, Timer timer) noexcept;
  void raise(std::size_t place) noexcept;
  void lower(std::size_t place) noexcept;

  std::vector<Timer> heap_;           // none is later than its children, at 2n + 1 and 2n + 2
  std::vector<std::uint32_t> place_;  // of each number in the heap, or kNone
};

}  // namespace caravan
