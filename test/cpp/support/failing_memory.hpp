#pragma once

#include <cstddef>

namespace caravan::test {

// Makes one allocation of this thread by operator new fail, the first being 1, until the end of the scope.
class FailingAllocation {
 public:
  explicit FailingAllocation(std::size_t number) noexcept;
  ~FailingAllocation();
  FailingAllocation(const FailingAllocation&) = delete;
  FailingAllocation& operator=(const FailingAllocation&) = delete;

  bool has_failed() const noexcept;
};

// Calls a function of a number, 1 and so on, that says whether an allocation of this number has failed, until none has.
// Returns how many have.
template <typename Function>
std::size_t each_allocation(Function function) {
  std::size_t number = 1;
  while (function(number)) {
    ++number;
  }
  return number - 1;
}

// The system makes no thread for this one, until the end of the scope.
class NoThreads {
 public:
  NoThreads() noexcept;
  ~NoThreads();
  NoThreads(const NoThreads&) = delete;
  NoThreads& operator=(const NoThreads&) = delete;
};

}  // namespace caravan::test
