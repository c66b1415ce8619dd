#pragma once

#include <cstddef>

namespace caravan::test {

// Makes the allocation with this number fail in this thread, counted from 1, until the end of the scope. Counts
// operator new only.
class FailingAllocation {
 public:
  explicit FailingAllocation(std::size_t number) noexcept;
  ~FailingAllocation();
  FailingAllocation(const FailingAllocation&) = delete;
  FailingAllocation& operator=(const FailingAllocation&) = delete;

  bool has_failed() const noexcept;
};

// Calls `function` with 1, 2 and so on, until it returns false. `function` returns whether the allocation with that
// number has failed. Returns how many allocations have failed.
template <typename Function>
std::size_t each_allocation(Function function) {
  std::size_t number = 1;
  while (function(number)) {
    ++number;
  }
  return number - 1;
}

// Makes the creation of threads by this thread fail until the end of the scope.
class NoThreads {
 public:
  NoThreads() noexcept;
  ~NoThreads();
  NoThreads(const NoThreads&) = delete;
  NoThreads& operator=(const NoThreads&) = delete;
};

}  // namespace caravan::test
