#pragma once

#include <erl_nif.h>

#include <optional>

#include "core/name/node_name.hpp"
#include "core/resolver/client.hpp"
#include "core/resolver/resolver.hpp"
#include "nif/atoms.hpp"

namespace caravan {

// These functions read options as caravan_dns and caravan_boot pass them. They return nullopt for an invalid term,
// which becomes badarg; caravan_option has the messages for users.

// Reads `default`, or a map in which every key is present.
std::optional<PortRule> read_port_rule(ErlNifEnv* env, const Atoms& atoms, ERL_NIF_TERM term);

std::optional<LookupType> read_lookup_type(const Atoms& atoms, ERL_NIF_TERM term) noexcept;

// Reads the options of one lookup. Each may be `default`.
std::optional<LookupOptions> read_lookup_options(ErlNifEnv* env, const Atoms& atoms, ERL_NIF_TERM nameservers,
                                                 ERL_NIF_TERM transport, ERL_NIF_TERM timeout, ERL_NIF_TERM srv_order);

// Reads a map in which every key is present.
std::optional<ClientOptions> read_client_options(ErlNifEnv* env, const Atoms& atoms, ERL_NIF_TERM map);

}  // namespace caravan
