#include <erl_nif.h>

#include <chrono>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/name/node_name.hpp"
#include "core/wire/dns_name.hpp"
#include "core/wire/ip_address.hpp"
#include "nif/engine.hpp"
#include "nif/lookup_handle.hpp"
#include "nif/mapped_code.hpp"
#include "nif/options.hpp"
#include "nif/resolver_handle.hpp"
#include "nif/term.hpp"

// The functions of caravan_nif.erl, where each is documented. They return badarg for arguments that the Erlang modules
// should have rejected.

namespace caravan {
namespace {

// The version of the interface between this library and caravan_nif.erl: the functions below, the form of the port rule
// and that of answers. caravan_nif.erl passes its own number in load_info, so that a library of another version is
// refused. Increment it with each change of the interface.
constexpr int kAbi = 8;

ERL_NIF_TERM make_error(ErlNifEnv* env, const Atoms& atoms, Error error) noexcept {
  return enif_make_tuple2(env, atoms.error, atoms.of(error));
}

ERL_NIF_TERM dist_port(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  auto& engine = engine_of(env);
  if (const auto known = engine.ports.find(argv[0], engine.port_rule.generation())) {
    return enif_make_uint(env, *known);
  }
  NameText name;
  if (!name.read(env, argv[0])) {
    return enif_make_badarg(env);
  }
  const auto [rule, generation] = engine.port_rule.get();
  const auto port = choose_port(name.view(), *rule).port;
  if (enif_is_atom(env, argv[0]) != 0) {
    engine.ports.put(argv[0], generation, port);
  }
  return enif_make_uint(env, port);
}

ERL_NIF_TERM make_origin(ErlNifEnv* env, const Atoms& atoms, const PortChoice& choice) noexcept {
  switch (choice.origin) {
    case PortOrigin::kName:
      return atoms.name;
    case PortOrigin::kNoDigits:
      return atoms.no_digits;
    case PortOrigin::kDigitsIgnored:
      return atoms.digits_ignored;
    case PortOrigin::kHelper:
      break;
  }
  return enif_make_tuple2(env, atoms.helper, make_binary(env, choice.pattern));
}

ERL_NIF_TERM port_choice(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  const auto& engine = engine_of(env);
  NameText name;
  if (!name.read(env, argv[0])) {
    return enif_make_badarg(env);
  }
  const auto rule = engine.port_rule.get().rule;
  const auto choice = choose_port(name.view(), *rule);
  return enif_make_tuple2(env, enif_make_uint(env, choice.port), make_origin(env, engine.atoms, choice));
}

ERL_NIF_TERM set_port_rule(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  auto& engine = engine_of(env);
  auto rule = read_port_rule(env, engine.atoms, argv[0]);
  if (!rule) {
    return enif_make_badarg(env);
  }
  engine.set_port_rule(std::make_shared<const PortRule>(std::move(*rule)));
  return engine.atoms.ok;
}

ERL_NIF_TERM is_helper_pattern(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  const auto text = read_binary(env, argv[0]);
  return engine_of(env).atoms.of(text && HelperPattern::parse(*text).has_value());
}

ERL_NIF_TERM node_name(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  const auto& atoms = engine_of(env).atoms;
  const auto text = read_binary(env, argv[0]);
  if (!text) {
    return enif_make_badarg(env);
  }
  const auto name = normalize_node_name(*text);
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

ERL_NIF_TERM open(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  auto& engine = engine_of(env);
  auto options = read_client_options(env, engine.atoms, argv[0]);
  return options ? make_resolver(env, engine, engine.resolver.open(std::move(*options))) : enif_make_badarg(env);
}

ERL_NIF_TERM close(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  auto& engine = engine_of(env);
  const auto client = read_resolver(env, engine, argv[0]);
  if (!client) {
    return enif_make_badarg(env);
  }
  engine.resolver.close(*client);
  return engine.atoms.ok;
}

ERL_NIF_TERM stats(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  const auto& engine = engine_of(env);
  const auto id = read_resolver(env, engine, argv[0]);
  if (!id) {
    return enif_make_badarg(env);
  }
  const auto client = engine.resolver.find(*id);
  return client ? make_stats(env, engine.atoms, client->stats) : make_error(env, engine.atoms, Error::kClosed);
}

ERL_NIF_TERM lookup(ErlNifEnv* env, int, const ERL_NIF_TERM argv[]) {
  auto& engine = engine_of(env);
  const bool has_reference = enif_is_ref(env, argv[7]) != 0;
  const auto client = read_resolver(env, engine, argv[0]);
  const auto name = read_binary(env, argv[1]);
  const auto type = read_lookup_type(engine.atoms, argv[2]);
  auto options = read_lookup_options(env, engine.atoms, argv[3], argv[4], argv[5], argv[6]);
  if (!client || !name || !type || !options || (!has_reference && enif_is_identical(argv[7], engine.atoms.own) == 0)) {
    return enif_make_badarg(env);
  }
  const auto timeout = options->timeout;
  auto [reference, receiver] = open_lookup(env, engine, has_reference ? std::optional{argv[7]} : std::nullopt);
  // A longer name is invalid anyway, so only enough of it is copied to see that it is too long.
  LookupRequest request{*type, std::string{name->substr(0, kMaxDnsNameText + 2)}, std::move(*options), {}};
  request.waiter.receiver = std::move(receiver);
  if (const auto error = engine.resolver.submit(*client, std::move(request))) {
    return make_error(env, engine.atoms, *error);
  }
  if (!has_reference) {
    return enif_make_tuple2(env, engine.atoms.ok, reference);
  }
  const auto of_client = timeout ? nullptr : engine.resolver.find(*client);
  const auto effective_timeout =
      of_client ? of_client->options.timeout : timeout.value_or(std::chrono::milliseconds{0});
  return enif_make_tuple3(env, engine.atoms.ok, reference, enif_make_int64(env, effective_timeout.count()));
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

ERL_NIF_TERM versions(ErlNifEnv* env, int, const ERL_NIF_TERM[]) {
  return make_versions(env, engine_of(env).atoms, cares_versions());
}

using Function = ERL_NIF_TERM(ErlNifEnv*, int, const ERL_NIF_TERM[]);

// Calls a function and keeps exceptions out of the VM. The functions throw only if memory, or another resource of the
// system, is short.
template <Function* function>
ERL_NIF_TERM guarded(ErlNifEnv* env, int argc, const ERL_NIF_TERM argv[]) noexcept {
  try {
    return function(env, argc, argv);
  } catch (...) {
    return make_error(env, engine_of(env).atoms, Error::kSystem);
  }
}

// Reads `{Abi, PortRule}`. Returns null if the number is not kAbi or the rule is invalid.
std::shared_ptr<const PortRule> read_load_info(ErlNifEnv* env, const Atoms& atoms, ERL_NIF_TERM load_info) {
  int arity = 0;
  const ERL_NIF_TERM* elements = nullptr;
  int abi = 0;
  if (enif_get_tuple(env, load_info, &arity, &elements) == 0 || arity != 2 ||
      enif_get_int(env, elements[0], &abi) == 0 || abi != kAbi) {
    return nullptr;
  }
  auto rule = read_port_rule(env, atoms, elements[1]);
  return rule ? std::make_shared<const PortRule>(std::move(*rule)) : nullptr;
}

// The VM includes the number in its error message. For kOtherAbi, caravan_nif.erl adds what to do.
enum LoadResult : int { kLoaded = 0, kOtherAbi = 1, kNoResources = 2 };

int create_engine(void** priv_data, ErlNifEnv* env, ERL_NIF_TERM load_info) noexcept try {
  auto rule = read_load_info(env, Atoms{env}, load_info);
  if (!rule) {
    return kOtherAbi;
  }
  const ResourceTypes types{open_lookup_type(env), open_resolver_type(env)};
  if (types.lookup == nullptr || types.resolver == nullptr) {
    return kNoResources;
  }
  auto engine = std::make_unique<Engine>(env, types);
  if (!engine->cares.ok()) {
    return kNoResources;
  }
  engine->set_port_rule(std::move(rule));
  *priv_data = static_cast<EngineHead*>(engine.release());
  return kLoaded;
} catch (...) {
  return kNoResources;
}

int load(ErlNifEnv* env, void** priv_data, ERL_NIF_TERM load_info) noexcept {
  return create_engine(priv_data, env, load_info);
}

// The new instance creates its own engine: the thread of the old one runs code of the old library, which is unmapped
// when that instance is purged. The old engine may be that of another version, so only its head is read.
int upgrade(ErlNifEnv* env, void** priv_data, void** old_priv_data, ERL_NIF_TERM load_info) noexcept {
  const auto result = create_engine(priv_data, env, load_info);
  const auto* old = static_cast<const EngineHead*>(*old_priv_data);
  if (result == kLoaded && old != nullptr && old->layout == EngineHead::kLayout) {
    engine_in(*priv_data)->number = old->number + 1;
  }
  return result;
}

// The limit of the wait in unload(), during which all schedulers may be blocked.
constexpr std::chrono::milliseconds kUnloadTimeout{5};

// The VM unmaps the code when this returns. If the thread cannot end in time, the code stays mapped, and the thread
// owns the engine until it ends.
void unload(ErlNifEnv*, void* priv_data) noexcept {
  std::shared_ptr<Engine> engine{engine_in(priv_data)};
  if (!engine->resolver.stop(kUnloadTimeout) && keep_code_mapped()) {
    engine->cares.keep_initialised();
    auto& resolver = engine->resolver;
    resolver.detach(std::move(engine));
  }
}

// Not const, because the VM writes to the table.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables)
ErlNifFunc functions[] = {
    {"dist_port", 1, guarded<dist_port>, 0},
    {"port_choice", 1, guarded<port_choice>, 0},
    {"set_port_rule", 1, guarded<set_port_rule>, 0},
    {"is_helper_pattern", 1, guarded<is_helper_pattern>, 0},
    {"node_name", 1, guarded<node_name>, 0},
    {"is_basename", 1, guarded<is_basename>, 0},
    {"is_dns_name", 1, guarded<is_dns_name>, 0},
    {"is_nameserver", 1, guarded<is_nameserver>, 0},
    {"open", 1, guarded<open>, 0},
    {"close", 1, guarded<caravan::close>, 0},
    {"stats", 1, guarded<stats>, 0},
    {"lookup", 8, guarded<lookup>, 0},
    {"cancel", 1, guarded<cancel>, 0},
    {"versions", 0, guarded<versions>, 0},
};

}  // namespace
}  // namespace caravan

extern "C" ERL_NIF_INIT(caravan_nif, caravan::functions, caravan::load, nullptr, caravan::upgrade, caravan::unload)
