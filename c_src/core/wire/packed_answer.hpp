#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/wire/dns_message.hpp"

namespace caravan {

// Writes an answer with records to `octets`, and returns the number of octets written. `octets` must have room for
// max_packed_size() of them. caravan_packed_answer.erl turns the octets into the documented maps in the process that
// asked, because building maps takes several times as long, and would take that time from the resolver's thread.
// Numbers are big-endian, with their size in bits:
//
//   type (16), complete (8), TTL (32), number of records (16), records, and of SRV records the glue by target
//   SRV record: priority (16), weight (16), port (16), TTL (32), target
//   address record: address, TTL (32)
//   glue: target, the least TTL (32), number of addresses (16), addresses
//   target: size (16), octets
//   address: 4 or 6 (8), octets
std::size_t pack_answer(const Reply& reply, std::span<std::uint8_t> octets) noexcept;

// Returns an upper bound of the octets that pack_answer() writes for `reply`.
std::size_t max_packed_size(const Reply& reply) noexcept;

}  // namespace caravan
