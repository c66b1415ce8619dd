#pragma once

#include <erl_nif.h>

#include <optional>

#include "core/name/node_name.hpp"
#include "core/resolver/client.hpp"
#include "core/resolver/resolver.hpp"
#include "nif/atoms.hpp"

namespace caravan {

// Options as caravan_dns and caravan_boot hand them down. Nothing: badarg; the words about what is allowed are
// caravan_option's.

// `default`, or a map in which every key is present.
std::optional<PortRule> read_port_rule(ErlNifEnv* env, const Atoms& atoms, ERL_NIF_TERM term);

std::optional<LookupType> read_lookup_type(const Atoms& atoms, ERL_NIF_TERM term) noexcept;

// Every one may be `default`.
std::optional<LookupOptions> read_lookup_options(ErlNifEnv* env, const Atoms& atoms, ERL_NIF_TERM nameservers,
                                                 ERL_NIF_TERM transport, ERL_NIF_TERM timeout, ERL_NIF_TERM srv_order);

// A map in which every key is present.
std::optional<ClientOptions> read_client_options(ErlNifEnv* env, const Atoms& atoms, ERL_NIF_TERM map);

}  // namespace caravan
