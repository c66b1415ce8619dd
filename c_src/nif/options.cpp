#include "nif/options.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "nif/term.hpp"

namespace caravan {
namespace {

using std::chrono::milliseconds;

constexpr unsigned kMaxPort = 65535;
constexpr unsigned kMaxTimeoutMs = 3'600'000;
constexpr unsigned kMaxTries = 10;
constexpr unsigned kMinEdnsSize = 512;
constexpr unsigned kMaxInFlight = 4096;
constexpr unsigned kMaxQueue = 1'000'000;
constexpr unsigned kMaxCacheEntries = 1'000'000;
constexpr unsigned kMaxTtl = 0x7FFF'FFFF;
constexpr std::size_t kMaxPath = 4096;  // PATH_MAX

bool is(ERL_NIF_TERM term, ERL_NIF_TERM atom) noexcept { return enif_is_identical(term, atom) != 0; }

std::optional<unsigned> read_number(ErlNifEnv* env, ERL_NIF_TERM term, unsigned min, unsigned max) noexcept {
  unsigned number = 0;
  if (enif_get_uint(env, term, &number) == 0 || number < min || number > max) {
    return std::nullopt;
  }
  return number;
}

std::optional<bool> read_boolean(const Atoms& atoms, ERL_NIF_TERM term) noexcept {
  if (is(term, atoms.true_)) {
    return true;
  }
  return is(term, atoms.false_) ? std::optional{false} : std::nullopt;
}

std::optional<milliseconds> read_timeout(ErlNifEnv* env, ERL_NIF_TERM term) noexcept {
  const auto timeout = read_number(env, term, 1, kMaxTimeoutMs);
  return timeout ? std::optional{milliseconds{*timeout}} : std::nullopt;
}

// The value of an option that may also have no value. The readers wrap it in another optional, which is empty if the
// term is invalid.
template <typename Value>
using Nullable = std::optional<Value>;

// Reads a transport. `auto` becomes nullopt.
std::optional<Nullable<Transport>> read_transport(const Atoms& atoms, ERL_NIF_TERM term) noexcept {
  if (is(term, atoms.udp)) {
    return Transport::kUdp;
  }
  if (is(term, atoms.tcp)) {
    return Transport::kTcp;
  }
  return is(term, atoms.auto_) ? std::make_optional<Nullable<Transport>>() : std::nullopt;
}

// Reads `system`, which becomes null, or a list of one to kMaxNameservers binaries.
std::optional<std::shared_ptr<const Nameservers>> read_nameservers(ErlNifEnv* env, const Atoms& atoms,
                                                                   ERL_NIF_TERM term) {
  if (is(term, atoms.system)) {
    return std::shared_ptr<const Nameservers>{};
  }
  Nameservers list;
  ERL_NIF_TERM head{};
  while (list.size() < kMaxNameservers && enif_get_list_cell(env, term, &head, &term) != 0) {
    const auto text = read_binary(env, head);
    const auto nameserver = text ? parse_nameserver(*text) : std::nullopt;
    if (!nameserver) {
      return std::nullopt;
    }
    list.push_back(*nameserver);
  }
  if (list.empty() || enif_is_empty_list(env, term) == 0) {
    return std::nullopt;
  }
  return std::make_shared<const Nameservers>(std::move(list));
}

// The limit matters because the path is copied.
std::optional<std::string_view> read_path(ErlNifEnv* env, ERL_NIF_TERM term) noexcept {
  const auto path = read_binary(env, term);
  return path && path->size() <= kMaxPath ? path : std::nullopt;
}

// Reads `false`, which becomes nullopt, or `{Entries, MaxTtl, MaxNegativeTtl}`.
std::optional<Nullable<ReplyCache::Limits>> read_cache(ErlNifEnv* env, const Atoms& atoms, ERL_NIF_TERM term) noexcept {
  if (is(term, atoms.false_)) {
    return std::make_optional<Nullable<ReplyCache::Limits>>();
  }
  int arity = 0;
  const ERL_NIF_TERM* limits = nullptr;
  if (enif_get_tuple(env, term, &arity, &limits) == 0 || arity != 3) {
    return std::nullopt;
  }
  const auto entries = read_number(env, limits[0], 1, kMaxCacheEntries);
  const auto max_ttl = read_number(env, limits[1], 0, kMaxTtl);
  const auto max_negative_ttl = read_number(env, limits[2], 0, kMaxTtl);
  if (!entries || !max_ttl || !max_negative_ttl) {
    return std::nullopt;
  }
  return ReplyCache::Limits{*entries, *max_ttl, *max_negative_ttl};
}

// Reads the values of a map one after the other. A value that is missing or invalid makes good() false.
class MapReader {
 public:
  MapReader(ErlNifEnv* env, ERL_NIF_TERM map) noexcept : env_{env}, map_{map} {}

  // Reads the value of `key` with `read`, which returns an optional, and stores it in `value`.
  template <typename Value, typename Read>
  void take(ERL_NIF_TERM key, Value& value, Read read) {
    ERL_NIF_TERM term{};
    if (enif_get_map_value(env_, map_, key, &term) == 0) {
      good_ = false;
      return;
    }
    if (auto taken = read(term)) {
      value = static_cast<Value>(std::move(*taken));
    } else {
      good_ = false;
    }
  }

  bool good() const noexcept { return good_; }

 private:
  ErlNifEnv* env_;
  ERL_NIF_TERM map_;
  bool good_ = true;
};

using PortRange = std::pair<std::uint16_t, std::uint16_t>;

// Reads `{First, Last}`, a range of at least `min_ports` ports.
std::optional<PortRange> read_port_range(ErlNifEnv* env, ERL_NIF_TERM term, std::size_t min_ports) noexcept {
  int arity = 0;
  const ERL_NIF_TERM* ends = nullptr;
  if (enif_get_tuple(env, term, &arity, &ends) == 0 || arity != 2) {
    return std::nullopt;
  }
  const auto first = read_number(env, ends[0], 1, kMaxPort);
  const auto last = read_number(env, ends[1], 1, kMaxPort);
  if (!first || !last || *last + 1 < *first + min_ports) {
    return std::nullopt;
  }
  return PortRange{*first, *last};
}

std::optional<PortInName> read_port_in_name(const Atoms& atoms, ERL_NIF_TERM term) noexcept {
  if (is(term, atoms.digits)) {
    return PortInName::kDigits;
  }
  if (is(term, atoms.dash)) {
    return PortInName::kDash;
  }
  return is(term, atoms.none) ? std::optional{PortInName::kNone} : std::nullopt;
}

std::optional<std::vector<HelperPattern>> read_helper_patterns(ErlNifEnv* env, ERL_NIF_TERM term) {
  std::vector<HelperPattern> patterns;
  ERL_NIF_TERM head{};
  while (patterns.size() < HelperRule::kMaxPatterns && enif_get_list_cell(env, term, &head, &term) != 0) {
    const auto text = read_binary(env, head);
    auto pattern = text ? HelperPattern::parse(*text) : std::nullopt;
    if (!pattern) {
      return std::nullopt;
    }
    patterns.push_back(std::move(*pattern));
  }
  return enif_is_empty_list(env, term) != 0 ? std::optional{std::move(patterns)} : std::nullopt;
}

}  // namespace

std::optional<PortRule> read_port_rule(ErlNifEnv* env, const Atoms& atoms, ERL_NIF_TERM term) {
  PortRule rule;
  if (is(term, atoms.default_)) {
    return rule;
  }
  PortRange range;
  PortRange helper_range;
  MapReader reader{env, term};
  reader.take(atoms.default_port, rule.default_port,
              [&](ERL_NIF_TERM port) { return read_number(env, port, 1, kMaxPort); });
  reader.take(atoms.port_range, range, [&](ERL_NIF_TERM ends) { return read_port_range(env, ends, 1); });
  reader.take(atoms.port_in_name, rule.port_in_name,
              [&](ERL_NIF_TERM which) { return read_port_in_name(atoms, which); });
  reader.take(atoms.helper_ports, helper_range,
              [&](ERL_NIF_TERM ends) { return read_port_range(env, ends, HelperRule::kMinPorts); });
  reader.take(atoms.helper_names, rule.helpers.patterns,
              [&](ERL_NIF_TERM patterns) { return read_helper_patterns(env, patterns); });
  std::tie(rule.first, rule.last) = range;
  std::tie(rule.helpers.first, rule.helpers.last) = helper_range;
  return reader.good() ? std::optional{std::move(rule)} : std::nullopt;
}

std::optional<LookupType> read_lookup_type(const Atoms& atoms, ERL_NIF_TERM term) noexcept {
  if (is(term, atoms.srv)) {
    return LookupType::kSrv;
  }
  if (is(term, atoms.a)) {
    return LookupType::kA;
  }
  if (is(term, atoms.aaaa)) {
    return LookupType::kAaaa;
  }
  return is(term, atoms.addresses) ? std::optional{LookupType::kAddresses} : std::nullopt;
}

std::optional<LookupOptions> read_lookup_options(ErlNifEnv* env, const Atoms& atoms, ERL_NIF_TERM nameservers,
                                                 ERL_NIF_TERM transport, ERL_NIF_TERM timeout, ERL_NIF_TERM srv_order) {
  LookupOptions options;
  if (!is(nameservers, atoms.default_)) {
    options.nameservers = read_nameservers(env, atoms, nameservers);
    if (!options.nameservers) {
      return std::nullopt;
    }
  }
  if (!is(transport, atoms.default_)) {
    const auto taken = read_transport(atoms, transport);
    if (!taken) {
      return std::nullopt;
    }
    options.transport = *taken;
  }
  if (!is(timeout, atoms.default_)) {
    options.timeout = read_timeout(env, timeout);
    if (!options.timeout) {
      return std::nullopt;
    }
  }
  if (!is(srv_order, atoms.default_)) {
    options.srv_order = read_boolean(atoms, srv_order);
    if (!options.srv_order) {
      return std::nullopt;
    }
  }
  return options;
}

std::optional<ClientOptions> read_client_options(ErlNifEnv* env, const Atoms& atoms, ERL_NIF_TERM map) {
  const auto number = [env](unsigned min, unsigned max) {
    return [=](ERL_NIF_TERM term) { return read_number(env, term, min, max); };
  };
  const auto boolean = [&](ERL_NIF_TERM term) { return read_boolean(atoms, term); };
  ClientOptions options;
  MapReader reader{env, map};
  reader.take(atoms.nameservers, options.nameservers,
              [&](ERL_NIF_TERM term) { return read_nameservers(env, atoms, term); });
  reader.take(atoms.transport, options.transport, [&](ERL_NIF_TERM term) { return read_transport(atoms, term); });
  reader.take(atoms.timeout, options.timeout, [&](ERL_NIF_TERM term) { return read_timeout(env, term); });
  reader.take(atoms.tries, options.tries, number(1, kMaxTries));
  reader.take(atoms.rotate, options.rotate, boolean);
  reader.take(atoms.edns_size, options.edns_size, number(0, kMaxEdnsSize));
  reader.take(atoms.mixed_case, options.mixed_case, boolean);
  reader.take(atoms.search, options.search, [&](ERL_NIF_TERM term) {
    const auto search = read_boolean(atoms, term);
    return search || is(term, atoms.default_) ? std::make_optional<Nullable<bool>>(search) : std::nullopt;
  });
  reader.take(atoms.hosts_file, options.hosts_file, [&](ERL_NIF_TERM term) { return read_path(env, term); });
  reader.take(atoms.max_inflight, options.max_inflight, number(1, kMaxInFlight));
  reader.take(atoms.max_queue, options.max_queue, number(0, kMaxQueue));
  reader.take(atoms.srv_order, options.srv_order, boolean);
  reader.take(atoms.cache, options.cache, [&](ERL_NIF_TERM term) { return read_cache(env, atoms, term); });
  const bool edns_fits = options.edns_size == 0 || options.edns_size >= kMinEdnsSize;
  return reader.good() && edns_fits ? std::optional{std::move(options)} : std::nullopt;
}

}  // namespace caravan
