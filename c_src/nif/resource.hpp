#pragma once

#include <erl_nif.h>

#include <memory>
#include <new>
#include <utility>

namespace caravan {

struct ReleaseResource {
  void operator()(void* object) const noexcept { enif_release_resource(object); }
};

// Owns one reference to the object behind a term.
template <typename Object>
using Resource = std::unique_ptr<Object, ReleaseResource>;

template <typename Object, typename... Arguments>
Resource<Object> make_resource(ErlNifResourceType* type, Arguments&&... arguments) noexcept {
  return Resource<Object>{new (enif_alloc_resource(type, sizeof(Object)))
                              Object{std::forward<Arguments>(arguments)...}};
}

}  // namespace caravan
