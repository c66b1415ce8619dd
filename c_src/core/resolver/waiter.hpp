#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "core/resolver/client.hpp"
#include "core/wire/dns_message.hpp"

namespace caravan {

// Whether a caller still wants its answer: it waits, it has cancelled the lookup, or it has died.
enum class Interest : std::uint8_t { kWaiting, kCancelled, kGone };

// What a receiver has made of a reply, for other receivers of the same reply.
class Rendering {
 public:
  Rendering() = default;
  virtual ~Rendering() = default;
  Rendering(const Rendering&) = delete;
  Rendering& operator=(const Rendering&) = delete;
};

// The recipient of an answer. Both functions are called on the resolver's thread.
class Receiver {
 public:
  virtual ~Receiver() = default;

  virtual Interest interest() const noexcept = 0;

  // Delivers the reply. Called once. Returns kWaiting if it was delivered, and otherwise why not. `shared` is null if
  // no other receiver gets this reply. Otherwise `*shared` is null for the first receiver, which may store its
  // rendering there for the others.
  virtual Interest deliver(const Reply& reply, std::unique_ptr<Rendering>* shared) noexcept = 0;
};

// A caller of a lookup, from its request to its answer.
struct Waiter {
  using Clock = std::chrono::steady_clock;

  std::unique_ptr<Receiver> receiver;
  Place place;  // of no client if this is a part of another waiter's lookup, which is not counted
  Clock::time_point deadline;
  std::chrono::milliseconds timeout{0};
  bool srv_order = false;

  // Delivers the reply and counts the outcome. `shared` is that of Receiver::deliver().
  void finish(const Reply& reply, std::unique_ptr<Rendering>* shared = nullptr) const noexcept;
};

}  // namespace caravan
