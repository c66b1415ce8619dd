#pragma once

#include <erl_nif.h>

#include <array>
#include <memory>
#include <optional>
#include <string_view>

#include "core/name/node_name.hpp"
#include "core/resolver/stats.hpp"
#include "core/system/cares.hpp"
#include "core/wire/dns_message.hpp"
#include "core/wire/ip_address.hpp"
#include "nif/atoms.hpp"

namespace caravan {

struct FreeEnv {
  void operator()(ErlNifEnv* env) const noexcept { enif_free_env(env); }
};
// The environment of a message. enif_send() does not free it, whether it succeeds or not.
using MessageEnv = std::unique_ptr<ErlNifEnv, FreeEnv>;

// The text of an atom, a binary or a charlist, in any encoding. Text that is longer than a node name can be is
// truncated, because no rule examines it. A character above 255 becomes '?' in a charlist, and its UTF-8 octets in an
// atom; neither can be a digit or an '@'.
class NameText {
 public:
  // Leaves the buffer uninitialised, since clearing it would take longer than reading most names.
  NameText() noexcept {}  // NOLINT(cppcoreguidelines-pro-type-member-init,modernize-use-equals-default)

  // Returns false if the term is no atom, binary or charlist.
  bool read(ErlNifEnv* env, ERL_NIF_TERM term) noexcept;

  std::string_view view() const noexcept { return view_; }

 private:
  bool read_wide_atom(ErlNifEnv* env, ERL_NIF_TERM term) noexcept;
  bool read_list(ErlNifEnv* env, ERL_NIF_TERM term) noexcept;

  // One more than choose_port() examines, so that a truncated name is still too long for it.
  std::array<char, kMaxNodeNameBytes + 1> buffer_;
  std::string_view view_;
};

// Returns nullopt if the term is no binary. The view is valid as long as the term.
std::optional<std::string_view> read_binary(ErlNifEnv* env, ERL_NIF_TERM term) noexcept;

ERL_NIF_TERM make_binary(ErlNifEnv* env, std::string_view text) noexcept;

// Makes an inet:ip_address().
ERL_NIF_TERM make_ip_address(ErlNifEnv* env, const IpAddress& address) noexcept;

// Makes `{ok, Answer} | {error, Reason}`, as caravan_dns documents it.
ERL_NIF_TERM make_lookup_result(ErlNifEnv* env, const Atoms& atoms, const Reply& reply);

// Makes `{ok, binary()} | {error, Reason}`, for caravan_packed_answer:unpack/1.
ERL_NIF_TERM make_packed_result(ErlNifEnv* env, const Atoms& atoms, const Reply& reply);

// Makes the map that caravan_dns:stats/1 documents.
ERL_NIF_TERM make_stats(ErlNifEnv* env, const Atoms& atoms, const Stats& stats);

// Makes the map that caravan_nif:versions/0 documents.
ERL_NIF_TERM make_versions(ErlNifEnv* env, const Atoms& atoms, const CaresVersions& cares);

}  // namespace caravan
