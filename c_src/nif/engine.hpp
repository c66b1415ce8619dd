#pragma once

#include <erl_nif.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "core/name/node_name.hpp"
#include "core/resolver/resolver.hpp"
#include "core/system/cares.hpp"
#include "core/system/mutex.hpp"
#include "nif/atoms.hpp"
#include "nif/port_memo.hpp"

namespace caravan {

// The part of an engine that another version of the library reads during an upgrade. Its layout never changes.
struct EngineHead {
  static constexpr std::uint32_t kLayout = 2;

  std::uint32_t layout = kLayout;
  // Distinguishes the handles of this engine from those of earlier engines in a chain of upgrades.
  std::uint64_t number = 0;
};

// The current port rule, shared by all schedulers. The generation distinguishes ports that were computed with this rule
// from those of earlier ones.
class SharedRule {
 public:
  struct Versioned {
    std::shared_ptr<const PortRule> rule;
    std::uint16_t generation;
  };

  std::uint16_t generation() const noexcept { return generation_.load(std::memory_order_relaxed); }

  Versioned get() const {
    const MutexLock lock{mutex_};
    return {rule_, generation()};
  }

  void set(std::shared_ptr<const PortRule> rule) {
    const MutexLock lock{mutex_};
    rule_.swap(rule);
    generation_.fetch_add(1, std::memory_order_relaxed);
  }

 private:
  mutable Mutex mutex_;
  std::shared_ptr<const PortRule> rule_ CARAVAN_GUARDED_BY(mutex_);
  std::atomic<std::uint16_t> generation_{0};
};

struct ResourceTypes {
  ErlNifResourceType* lookup;
  ErlNifResourceType* resolver;
};

// The state of one loaded instance of the library. It lives in priv_data, as a pointer to its head, because the old and
// the new instance of the module share static data during an upgrade.
class Engine : public EngineHead {
 public:
  Engine(ErlNifEnv* env, const ResourceTypes& opened) noexcept : atoms{env}, types{opened} {}

  void set_port_rule(std::shared_ptr<const PortRule> rule) {
    port_rule.set(std::move(rule));
    ports.clear();
  }

  const Atoms atoms;
  const ResourceTypes types;
  CaresLibrary cares;
  SharedRule port_rule;
  PortMemo ports;
  Resolver resolver;  // declared after `cares`, which its thread uses until it ends
};

// Returns the engine in `priv_data`, which must be of this version of the library.
inline Engine* engine_in(void* priv_data) noexcept {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast): a virtual function would change the layout
  return static_cast<Engine*>(static_cast<EngineHead*>(priv_data));
}

inline Engine& engine_of(ErlNifEnv* env) noexcept { return *engine_in(enif_priv_data(env)); }

}  // namespace caravan
