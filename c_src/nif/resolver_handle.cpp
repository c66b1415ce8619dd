#include "nif/resolver_handle.hpp"

#include "nif/resource.hpp"

namespace caravan {
namespace {

// The destructor of the type. Runs on the thread that drops the last reference, mostly a scheduler. `env` belongs to
// the version of the library that owns the type now.
void collect(ErlNifEnv* env, void* object) noexcept {
  const auto& handle = *static_cast<const ResolverHandle*>(object);
  auto& engine = engine_of(env);
  if (handle.engine == engine.number) {
    engine.resolver.release(handle.client);
  }
}

}  // namespace

ErlNifResourceType* open_resolver_type(ErlNifEnv* env) noexcept {
  return enif_open_resource_type(env, nullptr, "caravan_resolver", collect,
                                 static_cast<ErlNifResourceFlags>(ERL_NIF_RT_CREATE | ERL_NIF_RT_TAKEOVER), nullptr);
}

ERL_NIF_TERM make_resolver(ErlNifEnv* env, const Engine& engine, ClientId client) noexcept {
  const auto handle = make_resource<ResolverHandle>(engine.types.resolver, engine.number, client);
  return enif_make_resource(env, handle.get());
}

std::optional<ClientId> read_resolver(ErlNifEnv* env, const Engine& engine, ERL_NIF_TERM term) noexcept {
  void* object = nullptr;
  if (enif_get_resource(env, term, engine.types.resolver, &object) == 0) {
    return std::nullopt;
  }
  const auto& handle = *static_cast<const ResolverHandle*>(object);
  return handle.engine == engine.number ? handle.client : 0;
}

}  // namespace caravan
