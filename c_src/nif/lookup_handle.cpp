#include "nif/lookup_handle.hpp"

#include <utility>

#include "nif/resource.hpp"
#include "nif/term.hpp"

namespace caravan {
namespace {

using HandleReference = Resource<LookupHandle>;

// The term of a reply. To copy one takes a fraction of the time that making it does.
class ResultTerm final : public Rendering {
 public:
  ResultTerm(const Atoms& atoms, const Reply& reply)
      : env_{enif_alloc_env()}, term_{make_lookup_result(env_.get(), atoms, reply)} {}

  ERL_NIF_TERM copy_into(ErlNifEnv* env) const noexcept { return enif_make_copy(env, term_); }

 private:
  MessageEnv env_;
  ERL_NIF_TERM term_;
};

// Sends the answer from the resolver's thread.
class CallingProcess final : public Receiver {
 public:
  CallingProcess(HandleReference handle, const Atoms& atoms) noexcept : handle_{std::move(handle)}, atoms_{atoms} {}

  // What the answer is told by; else it is the handle.
  void use_reference(ERL_NIF_TERM reference) noexcept {
    own_env_.reset(enif_alloc_env());
    own_reference_ = enif_make_copy(own_env_.get(), reference);
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
    const MessageEnv env{enif_alloc_env()};
    const auto result = make_result(env.get(), reply, shared);
    const auto reference =
        own_env_ ? enif_make_copy(env.get(), own_reference_) : enif_make_resource(env.get(), handle_.get());
    const auto message = enif_make_tuple3(env.get(), atoms_.caravan_dns, reference, result);
    if (!handle_->begin_delivery()) {
      return Interest::kCancelled;
    }
    const bool sent = enif_send(nullptr, &handle_->caller(), env.get(), message) != 0;
    handle_->end_delivery();
    return sent ? Interest::kWaiting : Interest::kGone;
  }

 private:
  ERL_NIF_TERM make_result(ErlNifEnv* env, const Reply& reply, std::unique_ptr<Rendering>* shared) const {
    if (shared == nullptr) {
      return make_lookup_result(env, atoms_, reply);
    }
    if (!*shared) {
      *shared = std::make_unique<ResultTerm>(atoms_, reply);
    }
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast): nobody else leaves one
    return static_cast<const ResultTerm&>(**shared).copy_into(env);
  }

  HandleReference handle_;
  const Atoms& atoms_;
  MessageEnv own_env_;  // keeps `own_reference_`; null: there is none
  ERL_NIF_TERM own_reference_ = 0;
};

}  // namespace

ErlNifResourceType* open_lookup_type(ErlNifEnv* env) noexcept {
  // A newer version of the library takes over the handles of an older one by this name: a handle of another layout gets
  // a type of another name.
  struct Layout {
    ErlNifPid caller;
    std::atomic<LookupHandle::State> state;
  };
  static_assert(sizeof(LookupHandle) == sizeof(Layout));
  // No destructor: a handle owns nothing, and the VM postpones unloading for types that have one.
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
