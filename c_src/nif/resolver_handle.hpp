#pragma once

#include <erl_nif.h>

#include <optional>

#include "core/resolver/resolver.hpp"
#include "nif/engine.hpp"

namespace caravan {

// The resource behind the result of caravan_dns:open/1. It owns no resources, since it may outlive its engine and its
// library. A newer version of the library takes it over by the name of its type, and then destroys it. If the layout
// changes, the name must change too.
struct ResolverHandle {
  std::uint64_t engine;
  ClientId client;
};
static_assert(sizeof(ResolverHandle) == 2 * sizeof(std::uint64_t));

// Opens the resource type. Returns null if the VM refuses.
ErlNifResourceType* open_resolver_type(ErlNifEnv* env) noexcept;

ERL_NIF_TERM make_resolver(ErlNifEnv* env, const Engine& engine, ClientId client) noexcept;

// Returns the client of a handle: nullopt if the term is no handle of a resolver; 0, an ID never given out, if an
// earlier engine made it.
std::optional<ClientId> read_resolver(ErlNifEnv* env, const Engine& engine, ERL_NIF_TERM term) noexcept;

}  // namespace caravan
