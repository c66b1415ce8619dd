#pragma once

#include <erl_nif.h>

#include <memory>
#include <optional>

#include "core/resolver/waiter.hpp"
#include "nif/engine.hpp"

namespace caravan {

// The resource behind the reference of an open lookup. The message with the result contains the reference itself, so no
// table maps references to lookups.
class LookupHandle {
 public:
  //   kOpen ── deliver ──> kDelivering ── message sent ──> kDelivered
  //     └───── cancel ───> kCancelled
  // The resolver's thread delivers and the caller cancels. Only the first of the two succeeds.
  enum class State : std::uint8_t { kOpen, kDelivering, kDelivered, kCancelled };

  explicit LookupHandle(ErlNifPid caller) noexcept : caller_{caller} {}

  const ErlNifPid& caller() const noexcept { return caller_; }
  State state() const noexcept { return state_.load(std::memory_order_acquire); }

  bool begin_delivery() noexcept { return leave_open(State::kDelivering); }
  void end_delivery() noexcept { state_.store(State::kDelivered, std::memory_order_release); }
  // Returns false if the result was delivered, or is being delivered.
  bool cancel() noexcept { return leave_open(State::kCancelled) || state() == State::kCancelled; }

 private:
  bool leave_open(State next) noexcept {
    auto expected = State::kOpen;
    return state_.compare_exchange_strong(expected, next, std::memory_order_acq_rel);
  }

  ErlNifPid caller_;
  std::atomic<State> state_{State::kOpen};
};

// Opens the resource type. Returns null if the VM refuses.
ErlNifResourceType* open_lookup_type(ErlNifEnv* env) noexcept;

struct OpenLookup {
  ERL_NIF_TERM reference;
  std::unique_ptr<Receiver> receiver;
};

// Makes a handle for the calling process, and the receiver that sends it the result. The message carries the handle, or
// the caller's own reference `own` if that is given.
OpenLookup open_lookup(ErlNifEnv* env, const Engine& engine, std::optional<ERL_NIF_TERM> own);

// Returns null if the term is no handle of a lookup.
LookupHandle* read_lookup(ErlNifEnv* env, const Engine& engine, ERL_NIF_TERM term) noexcept;

}  // namespace caravan
