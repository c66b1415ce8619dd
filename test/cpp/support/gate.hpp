#pragma once

#include <chrono>
#include <future>
#include <stdexcept>

namespace caravan::test {

// How long a test waits for an event before it fails. No result depends on this time.
inline constexpr std::chrono::seconds kHangGuard{60};

// Blocks a thread until another one opens the gate.
class Gate {
 public:
  void open() { promise_.set_value(); }
  void pass() const {
    if (opened_.wait_for(kHangGuard) != std::future_status::ready) {
      throw std::runtime_error{"hang: nobody opens the gate"};
    }
  }

 private:
  std::promise<void> promise_;
  std::shared_future<void> opened_{promise_.get_future()};
};

}  // namespace caravan::test
