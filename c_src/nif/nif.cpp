#include <erl_nif.h>

#include <chrono>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/dns_name.hpp"
#include "core/ip_address.hpp"
#include "core/node_name.hpp"
#include "nif/engine.hpp"
#include "nif/lookup_handle.hpp"
#include "nif/term.hpp"

// The functions of caravan_nif.erl, where each is described. They validate nothing twice: what the Erlang modules above
// have not checked ends in badarg.

namespace caravan {
namespace {

// Raised with the functions below; caravan_nif.erl passes its own number as load_info, so that a library left over from
// another version is refused instead of misunderstood.
constexpr int kAbi = 1;

constexpr std::int64_t kMaxTimeoutMs = 3'600'000;

ERL_NIF_TERM make_error(ErlNifEnv* env, const Atoms& atoms, Error error) noexcept {
  return enif_make_tuple2(env, atoms.error, atoms.of(error));
}

std::optional<std::uint16_t> read_port(ErlNifEnv* env, ERL_NIF_TERM term) noexcept {
  unsigned port = 0;
  if (enif_get_uint(env, term, &port) == 0 || port > 65535) {
    return std::nullopt;
  }
  return static_cast<std::uint16_t>(port);
}

std::optional<RecordType> read_type(const Atoms& atoms, ERL_NIF_TERM term) noexcept {
  if (enif_is_identical(term, atoms.srv) != 0) {
    return RecordType::kSrv;
  }
  if (enif_is_identical(term, atoms.a) != 0) {
    return RecordType::kA;
  }
  if (enif_is_identical(term, atoms.aaaa) != 0) {
    return RecordType::kAaaa;
  }
  return std::nullopt;
}

std::optional<Transport> read_transport(const Atoms& atoms, ERL_NIF_TERM term) noexcept {
  if (enif_is_identical(term, atoms.udp) != 0) {
    return Transport::kUdp;
  }
  if (enif_is_identical(term, atoms.tcp) != 0) {
    return Transport::kTcp;
  }
  if (enif_is_identical(term, atoms.tcp_first) != 0) {
    return Transport::kTcpFirst;
  }
  return std::nullopt;
}

// `system` or one to kMaxNameservers binaries; false for anything else.
bool read_nameservers(ErlNifEnv* env, const Atoms& atoms, ERL_NIF_TERM term,
                      std::shared_ptr<const Nameservers>& nameservers) {
  if (enif_is_identical(term, atoms.system) != 0) {
    return true;
  }
  Nameservers list;
  ERL_NIF_TERM head{};
  while (list.size() < kMaxNameservers && enif_get_list_cell(env, term, &head, &term) != 0) {
    const auto text = read_binary(env, head);
    const auto nameserver = text ? parse_nameserver(*text) : std::nullopt;
    if (!nameserver) {
      return false;
    }
    list.push_back(*nameserver);
  }
  if (list.empty() || enif_is_empty_list(env, term) == 0) {
    return false;
  }
  nameservers = std::make_shared<const Nameservers>(std::move(list));
  return true;
}

ERL_NIF_TERM dist_port(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  auto& engine = engine_of(env);
  const auto [rule, generation] = engine.current_rule();
  if (const auto known = engine.ports.find(argv[0], generation)) {
    return enif_make_uint(env, *known);
  }
  NameText name;
  if (!name.read(env, argv[0])) {
    return enif_make_badarg(env);
  }
  const auto port = choose_port(name.view(), rule).port;
  if (enif_is_atom(env, argv[0]) != 0) {
    engine.ports.put(argv[0], generation, port);
  }
  return enif_make_uint(env, port);
}

ERL_NIF_TERM port_origin(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  const auto& engine = engine_of(env);
  NameText name;
  if (!name.read(env, argv[0])) {
    return enif_make_badarg(env);
  }
  switch (choose_port(name.view(), engine.current_rule().rule).origin) {
    case PortOrigin::kName:
      return engine.atoms.name;
    case PortOrigin::kNoDigits:
      return engine.atoms.no_digits;
    case PortOrigin::kDigitsIgnored:
      return engine.atoms.digits_ignored;
  }
  return enif_make_badarg(env);
}

ERL_NIF_TERM is_helper_name(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  NameText name;
  if (!name.read(env, argv[0])) {
    return enif_make_badarg(env);
  }
  return engine_of(env).atoms.of(caravan::is_helper_name(name.view()));
}

ERL_NIF_TERM set_port_rule(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  const auto default_port = read_port(env, argv[0]);
  const auto first = read_port(env, argv[1]);
  const auto last = read_port(env, argv[2]);
  if (!default_port || !first || !last) {
    return enif_make_badarg(env);
  }
  engine_of(env).set_port_rule({*default_port, *first, *last});
  return engine_of(env).atoms.ok;
}

ERL_NIF_TERM node_name(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  const auto& atoms = engine_of(env).atoms;
  const auto basename = read_binary(env, argv[0]);
  const auto port = read_port(env, argv[1]);
  const auto target = read_binary(env, argv[2]);
  if (!basename || !port || !target) {
    return enif_make_badarg(env);
  }
  const auto name = make_node_name(*basename, *port, *target);
  return name ? enif_make_tuple2(env, atoms.ok, make_binary(env, *name)) : make_error(env, atoms, Error::kBadname);
}

ERL_NIF_TERM is_basename(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  const auto text = read_binary(env, argv[0]);
  return engine_of(env).atoms.of(text && is_valid_basename(*text));
}

ERL_NIF_TERM is_dns_name(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  const auto text = read_binary(env, argv[0]);
  return engine_of(env).atoms.of(text && caravan::is_dns_name(*text));
}

ERL_NIF_TERM is_nameserver(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  const auto text = read_binary(env, argv[0]);
  return engine_of(env).atoms.of(text && parse_nameserver(*text).has_value());
}

ERL_NIF_TERM lookup(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  auto& engine = engine_of(env);
  const auto name = read_binary(env, argv[0]);
  const auto type = read_type(engine.atoms, argv[1]);
  const auto transport = read_transport(engine.atoms, argv[3]);
  ErlNifSInt64 timeout = 0;
  LookupRequest request;
  if (!name || !type || !transport || enif_get_int64(env, argv[4], &timeout) == 0 || timeout < 1 ||
      timeout > kMaxTimeoutMs || !read_nameservers(env, engine.atoms, argv[2], request.options.nameservers)) {
    return enif_make_badarg(env);
  }
  if (!caravan::is_dns_name(*name)) {
    return make_error(env, engine.atoms, Error::kBadname);
  }
  request.question = {std::string{*name}, *type};
  request.options.transport = *transport;
  request.options.timeout = std::chrono::milliseconds{timeout};
  auto [reference, receiver] = open_lookup(env, engine, request.question);
  request.receiver = std::move(receiver);
  if (const auto error = engine.resolver.submit(std::move(request))) {
    return make_error(env, engine.atoms, *error);
  }
  return enif_make_tuple2(env, engine.atoms.ok, reference);
}

ERL_NIF_TERM cancel(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  const auto& engine = engine_of(env);
  auto* handle = read_lookup(env, engine, argv[0]);
  if (handle == nullptr) {
    return enif_make_badarg(env);
  }
  if (handle->cancel()) {
    return engine.atoms.cancelled;
  }
  return handle->state() == LookupHandle::State::kDelivered ? engine.atoms.delivered : engine.atoms.delivering;
}

using Function = ERL_NIF_TERM(ErlNifEnv*, int, const ERL_NIF_TERM[]);

// The border that no exception crosses. All that can be thrown here is that memory is short.
template <Function* function>
ERL_NIF_TERM guarded(ErlNifEnv* env, int argc, const ERL_NIF_TERM argv[]) noexcept {
  try {
    return function(env, argc, argv);
  } catch (...) {
    return make_error(env, engine_of(env).atoms, Error::kSystem);
  }
}

bool is_our_abi(ErlNifEnv* env, ERL_NIF_TERM load_info) noexcept {
  int abi = 0;
  return enif_get_int(env, load_info, &abi) != 0 && abi == kAbi;
}

// The loader shows the number to the user; caravan_nif.erl adds to kOtherAbi what to do.
enum LoadResult : int { kLoaded = 0, kOtherAbi = 1, kNoResources = 2 };

int create_engine(void** priv_data, ErlNifEnv* env, ERL_NIF_TERM load_info) noexcept {
  if (!is_our_abi(env, load_info)) {
    return kOtherAbi;
  }
  auto* lookup_type = open_lookup_type(env);
  if (lookup_type == nullptr) {
    return kNoResources;
  }
  auto engine = std::unique_ptr<Engine>{new (std::nothrow) Engine{env, lookup_type}};
  if (!engine || !engine->cares.ok()) {
    return kNoResources;
  }
  *priv_data = static_cast<EngineHead*>(engine.release());
  return kLoaded;
}

int load(ErlNifEnv* env, void** priv_data, ERL_NIF_TERM load_info) noexcept {
  return create_engine(priv_data, env, load_info);
}

// The new instance starts with an engine of its own: the old one's thread runs code of the old library, which goes when
// that instance is purged. What was configured carries over. The old engine may be another version's: only its head is
// read.
int upgrade(ErlNifEnv* env, void** priv_data, void** old_priv_data, ERL_NIF_TERM load_info) noexcept {
  const auto result = create_engine(priv_data, env, load_info);
  const auto* old = static_cast<const EngineHead*>(*old_priv_data);
  if (result == kLoaded && old != nullptr && old->layout == EngineHead::kLayout) {
    engine_in(*priv_data)->set_port_rule(old->port_rule.load(std::memory_order_relaxed).rule);
  }
  return result;
}

// Joins the resolver's thread: the VM unmaps its code right after this.
void unload(ErlNifEnv*, void* priv_data) noexcept { const std::unique_ptr<Engine> engine{engine_in(priv_data)}; }

// The VM writes into the table.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables)
ErlNifFunc functions[] = {
    {"dist_port", 1, guarded<dist_port>, 0},
    {"port_origin", 1, guarded<port_origin>, 0},
    {"is_helper_name", 1, guarded<is_helper_name>, 0},
    {"set_port_rule", 3, guarded<set_port_rule>, 0},
    {"node_name", 3, guarded<node_name>, 0},
    {"is_basename", 1, guarded<is_basename>, 0},
    {"is_dns_name", 1, guarded<is_dns_name>, 0},
    {"is_nameserver", 1, guarded<is_nameserver>, 0},
    {"lookup", 5, guarded<lookup>, 0},
    {"cancel", 1, guarded<cancel>, 0},
};

}  // namespace
}  // namespace caravan

extern "C" ERL_NIF_INIT(caravan_nif, caravan::functions, caravan::load, nullptr, caravan::upgrade, caravan::unload)
