#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "core/resolver/client.hpp"
#include "core/wire/dns_message.hpp"

namespace caravan {

// Whether an answer is wanted still.
enum class Interest : std::uint8_t { kWaiting, kCancelled, kGone };

// Who is to get an answer. Both functions are called on the resolver's thread.
class Receiver {
 public:
  virtual ~Receiver() = default;

  virtual Interest interest() const noexcept = 0;

  // Called once; not kWaiting: nobody got it.
  virtual Interest deliver(const Reply& reply) noexcept = 0;
};

// A caller of a lookup, from its request to its one answer.
struct Waiter {
  using Clock = std::chrono::steady_clock;

  std::unique_ptr<Receiver> receiver;
  Place place;  // nobody's: a part of another waiter's lookup, and not counted
  Clock::time_point deadline;
  std::chrono::milliseconds timeout{0};
  bool srv_order = false;

  // Ends it and counts how.
  void finish(const Reply& reply) const noexcept;
};

}  // namespace caravan
