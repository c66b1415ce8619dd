#pragma once

#include <erl_nif.h>

#include <array>

#include "core/error.hpp"

namespace caravan {

// Every atom of the library, made once when it is loaded.
struct Atoms {
  explicit Atoms(ErlNifEnv* env) noexcept {
    for (std::size_t i = 0; i < kErrors.size(); ++i) {
      errors[i] = enif_make_atom(env, kErrors[i].name);
    }
#define CARAVAN_MAKE_ATOM(name) name = enif_make_atom(env, #name)
    CARAVAN_MAKE_ATOM(a);
    CARAVAN_MAKE_ATOM(aaaa);
    CARAVAN_MAKE_ATOM(address);
    CARAVAN_MAKE_ATOM(addresses);
    CARAVAN_MAKE_ATOM(caravan_dns);
    CARAVAN_MAKE_ATOM(cancelled);
    CARAVAN_MAKE_ATOM(complete);
    CARAVAN_MAKE_ATOM(delivered);
    CARAVAN_MAKE_ATOM(delivering);
    CARAVAN_MAKE_ATOM(digits_ignored);
    CARAVAN_MAKE_ATOM(error);
    CARAVAN_MAKE_ATOM(name);
    CARAVAN_MAKE_ATOM(no_digits);
    CARAVAN_MAKE_ATOM(ok);
    CARAVAN_MAKE_ATOM(port);
    CARAVAN_MAKE_ATOM(priority);
    CARAVAN_MAKE_ATOM(records);
    CARAVAN_MAKE_ATOM(srv);
    CARAVAN_MAKE_ATOM(system);
    CARAVAN_MAKE_ATOM(target);
    CARAVAN_MAKE_ATOM(tcp);
    CARAVAN_MAKE_ATOM(tcp_first);
    CARAVAN_MAKE_ATOM(ttl);
    CARAVAN_MAKE_ATOM(udp);
    CARAVAN_MAKE_ATOM(weight);
#undef CARAVAN_MAKE_ATOM
    true_ = enif_make_atom(env, "true");
    false_ = enif_make_atom(env, "false");
  }

  ERL_NIF_TERM of(Error code) const noexcept { return errors[static_cast<std::size_t>(code)]; }
  ERL_NIF_TERM of(bool value) const noexcept { return value ? true_ : false_; }

  std::array<ERL_NIF_TERM, kErrors.size()> errors{};
  ERL_NIF_TERM a, aaaa, address, addresses, caravan_dns, cancelled, complete, delivered, delivering, digits_ignored,
      error, name, no_digits, ok, port, priority, records, srv, system, target, tcp, tcp_first, ttl, udp, weight;
  ERL_NIF_TERM true_, false_;
};

}  // namespace caravan
