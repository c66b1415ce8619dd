#pragma once

#include <erl_nif.h>

#include <atomic>

#include "core/name/node_name.hpp"
#include "core/resolver/resolver.hpp"
#include "core/system/cares.hpp"
#include "nif/atoms.hpp"
#include "nif/port_memo.hpp"

namespace caravan {

// What a newer version of the library may read of an engine of this one: it never changes.
struct EngineHead {
  static constexpr std::uint32_t kLayout = 1;

  std::uint32_t layout = kLayout;
  // Tells the handles of this engine from those of the ones before it, in a chain of upgrades.
  std::uint64_t number = 0;
  std::atomic<VersionedRule> port_rule{VersionedRule{}};
  static_assert(std::atomic<VersionedRule>::is_always_lock_free, "dist_port/1 reads it on every call");
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

  VersionedRule current_rule() const noexcept { return port_rule.load(std::memory_order_relaxed); }
  void set_port_rule(const PortRule& rule) noexcept {
    const auto generation = static_cast<std::uint16_t>(current_rule().generation + 1);
    port_rule.store({rule, generation}, std::memory_order_relaxed);
    ports.clear();
  }

  const Atoms atoms;
  const ResourceTypes types;
  const CaresLibrary cares;
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
