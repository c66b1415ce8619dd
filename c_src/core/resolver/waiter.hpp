#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "core/resolver/client.hpp"
#include "core/wire/dns_message.hpp"

namespace caravan {

// Whether an answer is wanted still.
enum class Interest : std::uint8_t { kWaiting, kCancelled, kGone };

// What a receiver has made of a reply, for others that get the same one.
class Rendering {
 public:
  Rendering() = default;
  virtual ~Rendering() = default;
  Rendering(const Rendering&) = delete;
  Rendering& operator=(const Rendering&) = delete;
};

// Who is to get an answer. Both functions are called on the resolver's thread.
class Receiver {
 public:
  virtual ~Receiver() = default;

  virtual Interest interest() const noexcept = 0;

  // Called once; not kWaiting: nobody got it. `shared` is what others have made of the reply, which holds null until
  // the first of them leaves it there; it is itself null if nobody else gets the reply.
  virtual Interest deliver(const Reply& reply, std::unique_ptr<Rendering>* shared) noexcept = 0;
};

// A caller of a lookup, from its request to its one answer.
struct Waiter {
  using Clock = std::chrono::steady_clock;

  std::unique_ptr<Receiver> receiver;
  Place place;  // nobody's: a part of another waiter's lookup, and not counted
  Clock::time_point deadline;
  std::chrono::milliseconds timeout{0};
  bool srv_order = false;

  // Ends it and counts how. `shared` as for Receiver::deliver().
  void finish(const Reply& reply, std::unique_ptr<Rendering>* shared = nullptr) const noexcept;
};

}  // namespace caravan
