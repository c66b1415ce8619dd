#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <map>

#include "core/resolver/attempt_plan.hpp"
#include "core/resolver/endpoint.hpp"
#include "core/resolver/endpoint_record.hpp"
#include "core/wire/ip_address.hpp"

namespace caravan {

// The records of the endpoints that were asked. A lookup may name any nameserver, so beyond kMaxEndpoints all records
// are dropped, and are learned again. One thread owns it.
class EndpointMemory {
 public:
  static constexpr std::size_t kMaxEndpoints = 256;

  // Returns the record of `endpoint`, valid until the next call.
  EndpointRecord& of(const Endpoint& endpoint);

  // Returns which nameservers have been silent since they were last asked.
  std::bitset<kMaxNameservers> silent(const Nameservers& nameservers, bool tcp);

  // Returns whether the nameserver has been silent over TCP for so long that lookups do not wait for it.
  bool is_tcp_given_up(const Nameserver& nameserver);
  // Returns whether that holds for all of the nameservers.
  bool is_tcp_given_up(const Nameservers& nameservers);

 private:
  std::map<Endpoint, EndpointRecord> records_;
  // The entries that of() returned last, over UDP and over TCP; null if there are none.
  using Entry = std::map<Endpoint, EndpointRecord>::value_type;
  std::array<Entry*, 2> last_{};
};

}  // namespace caravan
