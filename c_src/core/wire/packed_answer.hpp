#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/wire/dns_message.hpp"

namespace caravan {

// The octets of an answer with records, which caravan_packed_answer.erl makes the documented maps of, in the process
// that has asked: to build the maps here would take the resolver's thread several times as long. Numbers are
// big-endian.
//
//   type (16), complete (8), TTL (32), number of records (16), records, and of SRV records the glue by target
//   SRV record: priority (16), weight (16), port (16), TTL (32), target
//   address record: address, TTL (32)
//   glue: target, the least TTL (32), number of addresses (16), addresses
//   target: size (16), octets
//   address: 4 or 6 (8), octets
//
// Writes into `octets`, which has room for greatest_packed_size(), and gives how many there are.
std::size_t pack_answer(const Reply& reply, std::span<std::uint8_t> octets) noexcept;

// At most.
std::size_t greatest_packed_size(const Reply& reply) noexcept;

}  // namespace caravan
