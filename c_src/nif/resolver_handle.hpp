#pragma once

#include <erl_nif.h>

#include <optional>

#include "core/resolver/resolver.hpp"
#include "nif/engine.hpp"

namespace caravan {

// The resource behind what caravan_dns:open/1 gives. It owns nothing: it may outlive the engine it came from, and the
// library, and be collected by a newer version, which takes it over by the name of its type: a handle of another layout
// gets a type of another name.
struct ResolverHandle {
  std::uint64_t engine;
  ClientId client;
};
static_assert(sizeof(ResolverHandle) == 2 * sizeof(std::uint64_t));

// Opens the resource type; null when the VM refuses.
ErlNifResourceType* open_resolver_type(ErlNifEnv* env) noexcept;

ERL_NIF_TERM make_resolver(ErlNifEnv* env, const Engine& engine, ClientId client) noexcept;

// Whose handle the term is. Nothing when it is none; 0, which nobody has, when it is one of an earlier engine.
std::optional<ClientId> read_resolver(ErlNifEnv* env, const Engine& engine, ERL_NIF_TERM term) noexcept;

}  // namespace caravan
