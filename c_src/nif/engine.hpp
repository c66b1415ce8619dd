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

// What a newer version of the library may read of an engine of this one: it never changes.
struct EngineHead {
  static constexpr std::uint32_t kLayout = 2;

  std::uint32_t layout = kLayout;
  // Tells the handles of this engine from those of the ones before it, in a chain of upgrades.
  std::uint64_t number = 0;
};

// The port rule in force, for all schedulers. The generation tells ports that follow from this rule from those of
// earlier ones.
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

// What one loaded instance of the library owns. It lives in priv_data, as a pointer to its head, since static data is
// shared between the old and the new instance of the module while code is being replaced.
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
  Resolver resolver;  // after `cares`: its thread uses it to the end
};

// An engine of this very version.
inline Engine* engine_in(void* priv_data) noexcept {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast): no virtual function, for the sake of the layout
  return static_cast<Engine*>(static_cast<EngineHead*>(priv_data));
}

inline Engine& engine_of(ErlNifEnv* env) noexcept { return *engine_in(enif_priv_data(env)); }

}  // namespace caravan
