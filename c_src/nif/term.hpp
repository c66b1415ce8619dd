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
// An environment for a message: enif_send leaves it to its owner, whether the message went out or not.
using MessageEnv = std::unique_ptr<ErlNifEnv, FreeEnv>;

// The characters of an atom, binary or charlist, in any encoding; what is longer than a node name can be is cut, as no
// rule looks further. Characters above 255 stand as '?' or as their UTF-8 octets: none of them is a digit or an '@'.
class NameText {
 public:
  // Leaves the buffer as it is: to clear it would cost more than most names.
  NameText() noexcept {}  // NOLINT(cppcoreguidelines-pro-type-member-init,modernize-use-equals-default)

  // False when the term is none of the three.
  bool read(ErlNifEnv* env, ERL_NIF_TERM term) noexcept;

  std::string_view view() const noexcept { return view_; }

 private:
  bool read_wide_atom(ErlNifEnv* env, ERL_NIF_TERM term) noexcept;
  bool read_list(ErlNifEnv* env, ERL_NIF_TERM term) noexcept;

  // One more than the rules look at, so that a cut name is still too long for them.
  std::array<char, kMaxNodeNameBytes + 1> buffer_;
  std::string_view view_;
};

// Nothing when the term is no binary.
std::optional<std::string_view> read_binary(ErlNifEnv* env, ERL_NIF_TERM term) noexcept;

ERL_NIF_TERM make_binary(ErlNifEnv* env, std::string_view text) noexcept;

// The address as inet:ip_address() has it.
ERL_NIF_TERM make_ip_address(ErlNifEnv* env, const IpAddress& address) noexcept;

// `{ok, Answer} | {error, Reason}`, as caravan_dns documents it.
ERL_NIF_TERM make_lookup_result(ErlNifEnv* env, const Atoms& atoms, const Reply& reply);

// `{ok, binary()} | {error, Reason}`, for caravan_packed_answer:unpack/1.
ERL_NIF_TERM make_packed_result(ErlNifEnv* env, const Atoms& atoms, const Reply& reply);

// As caravan_dns:stats/1 documents it.
ERL_NIF_TERM make_stats(ErlNifEnv* env, const Atoms& atoms, const Stats& stats);

// As caravan_nif:versions/0 documents it.
ERL_NIF_TERM make_versions(ErlNifEnv* env, const Atoms& atoms, const CaresVersions& cares);

}  // namespace caravan
