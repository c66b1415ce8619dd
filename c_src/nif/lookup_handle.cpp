#include "nif/lookup_handle.hpp"

#include <utility>

#include "nif/resource.hpp"
#include "nif/term.hpp"

namespace caravan {
namespace {

using HandleReference = Resource<LookupHandle>;

// The terms of a result, which other receivers of the same reply copy: copying a term takes a fraction of the time that
// it takes to make it.
class Result final : public Rendering {
 public:
  // null until the first receiver needs this form
  struct Form {
    MessageEnv env;
    ERL_NIF_TERM term = 0;
  };
  Form documented;
  Form packed;
};

// Sends the result to the process that called lookup. Used on the resolver's thread.
class CallingProcess final : public Receiver {
 public:
  CallingProcess(HandleReference handle, const Atoms& atoms) noexcept : handle_{std::move(handle)}, atoms_{atoms} {}

  // Makes the message carry `reference` and a packed result, in place of the handle and documented maps.
  void use_reference(ERL_NIF_TERM reference) noexcept {
    env_.reset(enif_alloc_env());
    reference_ = enif_make_copy(env_.get(), reference);
  }

  Interest interest() const noexcept override {
    if (handle_->state() != LookupHandle::State::kOpen) {
      return Interest::kCancelled;
    }
    auto caller = handle_->caller();
    return enif_is_process_alive(nullptr, &caller) != 0 ? Interest::kWaiting : Interest::kGone;
  }

  Interest deliver(const Reply& reply, std::unique_ptr<Rendering>* shared) noexcept override {
    if (handle_->state() != LookupHandle::State::kOpen) {
      return Interest::kCancelled;
    }
    const bool is_packed = env_ != nullptr;
    if (!is_packed) {
      env_.reset(enif_alloc_env());
      reference_ = enif_make_resource(env_.get(), handle_.get());
    }
    const auto result = make_result(reply, is_packed, shared);
    const auto message = enif_make_tuple3(env_.get(), atoms_.caravan_dns, reference_, result);
    if (!handle_->begin_delivery()) {
      return Interest::kCancelled;
    }
    const bool sent = enif_send(nullptr, &handle_->caller(), env_.get(), message) != 0;
    handle_->end_delivery();
    return sent ? Interest::kWaiting : Interest::kGone;
  }

 private:
  ERL_NIF_TERM make_result(const Reply& reply, bool is_packed, std::unique_ptr<Rendering>* shared) const {
    const auto make = is_packed ? make_packed_result : make_lookup_result;
    if (shared == nullptr) {
      return make(env_.get(), atoms_, reply);
    }
    if (!*shared) {
      *shared = std::make_unique<Result>();
    }
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast): only this class stores a rendering
    auto& result = static_cast<Result&>(**shared);
    auto& form = is_packed ? result.packed : result.documented;
    if (!form.env) {
      form.env.reset(enif_alloc_env());
      form.term = make(form.env.get(), atoms_, reply);
    }
    return enif_make_copy(env_.get(), form.term);
  }

  HandleReference handle_;
  const Atoms& atoms_;
  MessageEnv env_;  // of the message; null until it is needed
  ERL_NIF_TERM reference_ = 0;
};

}  // namespace

ErlNifResourceType* open_lookup_type(ErlNifEnv* env) noexcept {
  // A newer version of the library takes over the handles of an older one by the name of the type. If the layout
  // changes, the name must change too.
  struct Layout {
    ErlNifPid caller;
    std::atomic<LookupHandle::State> state;
  };
  static_assert(sizeof(LookupHandle) == sizeof(Layout));
  // No destructor: a handle owns no resources, and the VM delays unloading while a type has one.
  return enif_open_resource_type(env, nullptr, "caravan_lookup", nullptr,
                                 static_cast<ErlNifResourceFlags>(ERL_NIF_RT_CREATE | ERL_NIF_RT_TAKEOVER), nullptr);
}

OpenLookup open_lookup(ErlNifEnv* env, const Engine& engine, std::optional<ERL_NIF_TERM> own) {
  ErlNifPid caller;
  enif_self(env, &caller);
  auto handle = make_resource<LookupHandle>(engine.types.lookup, caller);
  const auto reference = enif_make_resource(env, handle.get());
  auto receiver = std::make_unique<CallingProcess>(std::move(handle), engine.atoms);
  if (own) {
    receiver->use_reference(*own);
  }
  return {reference, std::move(receiver)};
}

LookupHandle* read_lookup(ErlNifEnv* env, const Engine& engine, ERL_NIF_TERM term) noexcept {
  void* object = nullptr;
  if (enif_get_resource(env, term, engine.types.lookup, &object) == 0) {
    return nullptr;
  }
  return static_cast<LookupHandle*>(object);
}

}  // namespace caravan
