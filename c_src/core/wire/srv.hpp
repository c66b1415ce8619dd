#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "core/wire/dns_reader.hpp"

namespace caravan {

// RFC 2782.
struct SrvRecord {
  std::uint16_t priority = 0;
  std::uint16_t weight = 0;
  std::uint16_t port = 0;
  std::uint32_t ttl = 0;
  TextRef target;
};

// Puts records into the order in which RFC 2782 wants them tried: by priority, and within one by repeated choice at
// random, in proportion to the weights. Records of weight 0 have together the chance of one of weight 1.
void order_srv(std::vector<SrvRecord>& records, std::mt19937_64& random);

}  // namespace caravan
