#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "core/wire/dns_reader.hpp"

namespace caravan {

// An SRV record (RFC 2782).
struct SrvRecord {
  std::uint16_t priority = 0;
  std::uint16_t weight = 0;
  std::uint16_t port = 0;
  std::uint32_t ttl = 0;
  TextRef target;
};

// Sorts records into the order in which a client tries them (RFC 2782): by priority, and within a priority at random in
// proportion to the weights. All records of weight 0 of a priority together have the chance of one of weight 1.
void order_srv(std::vector<SrvRecord>& records, std::mt19937_64& random);

}  // namespace caravan
