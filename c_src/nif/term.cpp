#include "nif/term.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/wire/dns_name.hpp"
#include "core/wire/packed_answer.hpp"

namespace caravan {
namespace {

// An atom in the external term format: a version octet, a tag, the length in one octet (small) or two, and the UTF-8
// text.
constexpr unsigned char kSmallAtomUtf8 = 119;
constexpr unsigned char kAtomUtf8 = 118;

struct ReleaseBinary {
  void operator()(ErlNifBinary* binary) const noexcept { enif_release_binary(binary); }
};

template <std::size_t Size>
ERL_NIF_TERM make_map(ErlNifEnv* env, std::array<ERL_NIF_TERM, Size> keys,
                      std::array<ERL_NIF_TERM, Size> values) noexcept {
  ERL_NIF_TERM map{};
  enif_make_map_from_arrays(env, keys.data(), values.data(), Size, &map);
  return map;
}

ERL_NIF_TERM make_list(ErlNifEnv* env, const std::vector<ERL_NIF_TERM>& terms) noexcept {
  return enif_make_list_from_array(env, terms.data(), static_cast<unsigned>(terms.size()));
}

ERL_NIF_TERM make_srv_records(ErlNifEnv* env, const Atoms& atoms, const Reply& reply) {
  std::vector<ERL_NIF_TERM> records;
  records.reserve(reply.srv.size());
  for (const auto& srv : reply.srv) {
    records.push_back(
        make_map<5>(env, {atoms.priority, atoms.weight, atoms.port, atoms.target, atoms.ttl},
                    {enif_make_uint(env, srv.priority), enif_make_uint(env, srv.weight), enif_make_uint(env, srv.port),
                     make_binary(env, reply.view(srv.target)), enif_make_uint(env, srv.ttl)}));
  }
  return make_list(env, records);
}

ERL_NIF_TERM make_address_records(ErlNifEnv* env, const Atoms& atoms, const Reply& reply) {
  std::vector<ERL_NIF_TERM> records;
  records.reserve(reply.addresses.size());
  for (const auto& record : reply.addresses) {
    records.push_back(make_map<2>(env, {atoms.address, atoms.ttl},
                                  {make_ip_address(env, record.address), enif_make_uint(env, record.ttl)}));
  }
  return make_list(env, records);
}

// The size up to which the VM does not use a hash map. enif_make_map_from_arrays() makes a hash map with the state of
// the calling scheduler thread, and dereferences a null pointer on any other thread (seen with OTP 25.2.3).
// enif_make_map_put() works on every thread.
constexpr std::size_t kSmallMapSize = 32;

// Makes a map of any size. The keys must be unique.
ERL_NIF_TERM make_any_map(ErlNifEnv* env, std::vector<ERL_NIF_TERM>& keys, std::vector<ERL_NIF_TERM>& values) noexcept {
  const auto small = std::min(keys.size(), kSmallMapSize);
  ERL_NIF_TERM map{};
  enif_make_map_from_arrays(env, keys.data(), values.data(), small, &map);
  for (auto i = small; i < keys.size(); ++i) {
    enif_make_map_put(env, map, keys[i], values[i], &map);
  }
  return map;
}

struct GlueMaps {
  ERL_NIF_TERM addresses;
  ERL_NIF_TERM ttls;
};

// Makes the maps from each target to its addresses, and to the least of their TTLs in seconds. Relies on the order of
// Reply::glue, in which the addresses of one target are adjacent.
GlueMaps make_glue(ErlNifEnv* env, const Reply& reply) {
  std::vector<ERL_NIF_TERM> targets;
  std::vector<ERL_NIF_TERM> address_lists;
  std::vector<ERL_NIF_TERM> ttls;
  std::vector<ERL_NIF_TERM> addresses;
  for (auto it = reply.glue.begin(); it != reply.glue.end();) {
    const auto target = reply.view(it->target);
    auto ttl = it->ttl;
    targets.push_back(make_binary(env, target));
    addresses.clear();
    for (; it != reply.glue.end() && equal_names(reply.view(it->target), target); ++it) {
      addresses.push_back(make_ip_address(env, it->address));
      ttl = std::min(ttl, it->ttl);
    }
    address_lists.push_back(make_list(env, addresses));
    ttls.push_back(enif_make_uint(env, ttl));
  }
  return {make_any_map(env, targets, address_lists), make_any_map(env, targets, ttls)};
}

ERL_NIF_TERM make_srv_answer(ErlNifEnv* env, const Atoms& atoms, const Reply& reply) {
  const auto glue = make_glue(env, reply);
  return make_map<5>(env, {atoms.records, atoms.addresses, atoms.address_ttls, atoms.ttl, atoms.complete},
                     {make_srv_records(env, atoms, reply), glue.addresses, glue.ttls,
                      enif_make_uint(env, reply.ttl.value_or(0)), atoms.of(reply.complete)});
}

ERL_NIF_TERM make_address_answer(ErlNifEnv* env, const Atoms& atoms, const Reply& reply) {
  return make_map<4>(env, {atoms.records, atoms.addresses, atoms.ttl, atoms.complete},
                     {make_address_records(env, atoms, reply), enif_make_new_map(env),
                      enif_make_uint(env, reply.ttl.value_or(0)), atoms.of(reply.complete)});
}

}  // namespace

bool NameText::read(ErlNifEnv* env, ERL_NIF_TERM term) noexcept {
  if (const auto size = enif_get_atom(env, term, buffer_.data(), static_cast<unsigned>(buffer_.size()), ERL_NIF_LATIN1);
      size > 0) {
    view_ = {buffer_.data(), static_cast<std::size_t>(size - 1)};
    return true;
  }
  if (const auto binary = read_binary(env, term)) {
    view_ = binary->substr(0, buffer_.size());
    return true;
  }
  return enif_is_atom(env, term) != 0 ? read_wide_atom(env, term) : read_list(env, term);
}

bool NameText::read_wide_atom(ErlNifEnv* env, ERL_NIF_TERM term) noexcept {
  ErlNifBinary encoded;
  if (enif_term_to_binary(env, term, &encoded) == 0) {
    return false;
  }
  const std::unique_ptr<ErlNifBinary, ReleaseBinary> owned{&encoded};
  const std::size_t header = encoded.size > 1 && encoded.data[1] == kSmallAtomUtf8 ? 3 : 4;
  if (encoded.size < header || (header == 4 && encoded.data[1] != kAtomUtf8)) {
    return false;
  }
  const auto size = std::min(encoded.size - header, buffer_.size());
  std::memcpy(buffer_.data(), encoded.data + header, size);
  view_ = {buffer_.data(), size};
  return true;
}

bool NameText::read_list(ErlNifEnv* env, ERL_NIF_TERM term) noexcept {
  std::size_t size = 0;
  ERL_NIF_TERM head{};
  int character = 0;
  while (size < buffer_.size() && enif_get_list_cell(env, term, &head, &term) != 0) {
    if (enif_get_int(env, head, &character) == 0) {
      return false;
    }
    buffer_[size++] = character >= 0 && character <= 0xFF ? static_cast<char>(character) : '?';
  }
  view_ = {buffer_.data(), size};
  return size == buffer_.size() || enif_is_empty_list(env, term) != 0;
}

std::optional<std::string_view> read_binary(ErlNifEnv* env, ERL_NIF_TERM term) noexcept {
  ErlNifBinary binary;
  if (enif_inspect_binary(env, term, &binary) == 0) {
    return std::nullopt;
  }
  return std::string_view{reinterpret_cast<const char*>(binary.data), binary.size};
}

ERL_NIF_TERM make_binary(ErlNifEnv* env, std::string_view text) noexcept {
  ERL_NIF_TERM term{};
  auto* data = enif_make_new_binary(env, text.size(), &term);
  if (!text.empty()) {
    std::memcpy(data, text.data(), text.size());
  }
  return term;
}

ERL_NIF_TERM make_ip_address(ErlNifEnv* env, const IpAddress& address) noexcept {
  const auto& bytes = address.bytes;
  if (address.family == Family::kInet) {
    return enif_make_tuple4(env, enif_make_uint(env, bytes[0]), enif_make_uint(env, bytes[1]),
                            enif_make_uint(env, bytes[2]), enif_make_uint(env, bytes[3]));
  }
  std::array<ERL_NIF_TERM, 8> groups{};
  for (std::size_t i = 0; i < groups.size(); ++i) {
    groups[i] = enif_make_uint(env, static_cast<unsigned>(bytes[2 * i] << 8 | bytes[2 * i + 1]));
  }
  return enif_make_tuple_from_array(env, groups.data(), groups.size());
}

ERL_NIF_TERM make_lookup_result(ErlNifEnv* env, const Atoms& atoms, const Reply& reply) {
  if (reply.error) {
    return enif_make_tuple2(env, atoms.error, atoms.of(*reply.error));
  }
  const auto answer = reply.srv.empty() ? make_address_answer(env, atoms, reply) : make_srv_answer(env, atoms, reply);
  return enif_make_tuple2(env, atoms.ok, answer);
}

ERL_NIF_TERM make_packed_result(ErlNifEnv* env, const Atoms& atoms, const Reply& reply) {
  if (reply.error) {
    return enif_make_tuple2(env, atoms.error, atoms.of(*reply.error));
  }
  ERL_NIF_TERM binary = 0;
  const auto room = max_packed_size(reply);
  const auto size = pack_answer(reply, {enif_make_new_binary(env, room, &binary), room});
  const auto answer = size == room ? binary : enif_make_sub_binary(env, binary, 0, size);
  return enif_make_tuple2(env, atoms.ok, answer);
}

ERL_NIF_TERM make_stats(ErlNifEnv* env, const Atoms& atoms, const Stats& stats) {
  std::vector<ERL_NIF_TERM> outcomes{atoms.ok};
  std::vector<ERL_NIF_TERM> counts{enif_make_uint64(env, stats.answered())};
  for (const auto& error : kErrors) {
    outcomes.push_back(atoms.of(error.code));
    counts.push_back(enif_make_uint64(env, stats.failed(error.code)));
  }
  std::vector<ERL_NIF_TERM> buckets;
  for (std::size_t i = 0; i < LatencyHistogram::kBuckets; ++i) {
    const auto bound = LatencyHistogram::bound(i);
    buckets.push_back(enif_make_tuple2(env, bound ? enif_make_int64(env, bound->count()) : atoms.infinity,
                                       enif_make_uint64(env, stats.latency.count(i))));
  }
  std::vector<ERL_NIF_TERM> keys{atoms.outcomes, atoms.latency, atoms.in_flight, atoms.queued};
  std::vector<ERL_NIF_TERM> values{make_any_map(env, outcomes, counts), make_list(env, buckets),
                                   enif_make_uint64(env, stats.in_flight.load(std::memory_order_relaxed)),
                                   enif_make_uint64(env, stats.queued.load(std::memory_order_relaxed))};
  for (const auto& counter : kCounters) {
    keys.push_back(atoms.counters[static_cast<std::size_t>(counter.code)]);
    values.push_back(enif_make_uint64(env, stats.get(counter.code)));
  }
  return make_any_map(env, keys, values);
}

ERL_NIF_TERM make_versions(ErlNifEnv* env, const Atoms& atoms, const CaresVersions& cares) {
  std::vector<ERL_NIF_TERM> keys{atoms.version, atoms.built_against, atoms.linked};
  std::vector<ERL_NIF_TERM> values{make_binary(env, cares.running), make_binary(env, cares.built_against),
                                   cares.is_static ? atoms.static_ : atoms.shared};
  std::vector<ERL_NIF_TERM> libraries{atoms.c_ares};
  std::vector<ERL_NIF_TERM> descriptions{make_any_map(env, keys, values)};
  return make_any_map(env, libraries, descriptions);
}

}  // namespace caravan
