#pragma once

#include <erl_nif.h>

#include <array>

#include "core/resolver/stats.hpp"
#include "core/wire/error.hpp"

namespace caravan {

// The atoms of the library. They are created once, when the library is loaded.
struct Atoms {
  explicit Atoms(ErlNifEnv* env) noexcept {  // NOLINT(readability-function-size): a list
    for (std::size_t i = 0; i < kErrors.size(); ++i) {
      errors[i] = enif_make_atom(env, kErrors[i].name);
    }
#define CARAVAN_MAKE_ATOM(name) name = enif_make_atom(env, #name)
    CARAVAN_MAKE_ATOM(a);
    CARAVAN_MAKE_ATOM(aaaa);
    CARAVAN_MAKE_ATOM(address);
    CARAVAN_MAKE_ATOM(address_ttls);
    CARAVAN_MAKE_ATOM(addresses);
    CARAVAN_MAKE_ATOM(built_against);
    CARAVAN_MAKE_ATOM(cache);
    CARAVAN_MAKE_ATOM(c_ares);
    CARAVAN_MAKE_ATOM(cancelled);
    CARAVAN_MAKE_ATOM(caravan_dns);
    CARAVAN_MAKE_ATOM(complete);
    CARAVAN_MAKE_ATOM(default_port);
    CARAVAN_MAKE_ATOM(delivered);
    CARAVAN_MAKE_ATOM(delivering);
    CARAVAN_MAKE_ATOM(dash);
    CARAVAN_MAKE_ATOM(digits);
    CARAVAN_MAKE_ATOM(digits_ignored);
    CARAVAN_MAKE_ATOM(edns_size);
    CARAVAN_MAKE_ATOM(error);
    CARAVAN_MAKE_ATOM(helper);
    CARAVAN_MAKE_ATOM(helper_names);
    CARAVAN_MAKE_ATOM(helper_ports);
    CARAVAN_MAKE_ATOM(hosts_file);
    CARAVAN_MAKE_ATOM(in_flight);
    CARAVAN_MAKE_ATOM(infinity);
    CARAVAN_MAKE_ATOM(latency);
    CARAVAN_MAKE_ATOM(linked);
    CARAVAN_MAKE_ATOM(max_inflight);
    CARAVAN_MAKE_ATOM(max_queue);
    CARAVAN_MAKE_ATOM(mixed_case);
    CARAVAN_MAKE_ATOM(name);
    CARAVAN_MAKE_ATOM(nameservers);
    CARAVAN_MAKE_ATOM(no_digits);
    CARAVAN_MAKE_ATOM(none);
    CARAVAN_MAKE_ATOM(ok);
    CARAVAN_MAKE_ATOM(outcomes);
    CARAVAN_MAKE_ATOM(own);
    CARAVAN_MAKE_ATOM(port);
    CARAVAN_MAKE_ATOM(port_in_name);
    CARAVAN_MAKE_ATOM(port_range);
    CARAVAN_MAKE_ATOM(priority);
    CARAVAN_MAKE_ATOM(queued);
    CARAVAN_MAKE_ATOM(records);
    CARAVAN_MAKE_ATOM(rotate);
    CARAVAN_MAKE_ATOM(search);
    CARAVAN_MAKE_ATOM(shared);
    CARAVAN_MAKE_ATOM(srv);
    CARAVAN_MAKE_ATOM(srv_order);
    CARAVAN_MAKE_ATOM(system);
    CARAVAN_MAKE_ATOM(target);
    CARAVAN_MAKE_ATOM(tcp);
    CARAVAN_MAKE_ATOM(timeout);
    CARAVAN_MAKE_ATOM(transport);
    CARAVAN_MAKE_ATOM(tries);
    CARAVAN_MAKE_ATOM(ttl);
    CARAVAN_MAKE_ATOM(udp);
    CARAVAN_MAKE_ATOM(version);
    CARAVAN_MAKE_ATOM(weight);
#undef CARAVAN_MAKE_ATOM
    true_ = enif_make_atom(env, "true");
    false_ = enif_make_atom(env, "false");
    auto_ = enif_make_atom(env, "auto");
    default_ = enif_make_atom(env, "default");
    static_ = enif_make_atom(env, "static");
    for (std::size_t i = 0; i < kCounters.size(); ++i) {
      counters[i] = enif_make_atom(env, kCounters[i].name);
    }
  }

  ERL_NIF_TERM of(Error code) const noexcept { return errors[static_cast<std::size_t>(code)]; }
  ERL_NIF_TERM of(bool value) const noexcept { return value ? true_ : false_; }

  std::array<ERL_NIF_TERM, kErrors.size()> errors{};
  std::array<ERL_NIF_TERM, kCounters.size()> counters{};
  ERL_NIF_TERM a, aaaa, address, address_ttls, addresses, built_against, c_ares, cache, cancelled, caravan_dns,
      complete, default_port, delivered, delivering, dash, digits, digits_ignored, edns_size, error, helper,
      helper_names, helper_ports, hosts_file, in_flight, infinity, latency, linked, max_inflight, max_queue, mixed_case,
      name, nameservers, no_digits, none, ok, outcomes, own, port, port_in_name, port_range, priority, queued, records,
      rotate, search, shared, srv, srv_order, system, target, tcp, timeout, transport, tries, ttl, udp, version, weight;
  ERL_NIF_TERM true_, false_, auto_, default_, static_;
};

}  // namespace caravan
