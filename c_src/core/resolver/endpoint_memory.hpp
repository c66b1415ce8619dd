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

// The records of the endpoints that were asked. A lookup may name any nameserver: beyond a number, all are forgotten,
// which costs what learning them again does. Owned by one thread.
class EndpointMemory {
 public:
  static constexpr std::size_t kMaxEndpoints = 256;

  // Valid until the next call.
  EndpointRecord& of(const Endpoint& endpoint);

  // Which of the nameservers have been silent since they were asked last.
  std::bitset<kMaxNameservers> silent(const Nameservers& nameservers, bool tcp);

  // Whether the nameserver has been silent over TCP for so long that nobody waits for it any more.
  bool is_tcp_given_up(const Nameserver& nameserver);
  // Whether all of them have.
  bool is_tcp_given_up(const Nameservers& nameservers);

 private:
  std::map<Endpoint, EndpointRecord> records_;
  // That were asked for last, over UDP and over TCP; null before.
  using Entry = std::map<Endpoint, EndpointRecord>::value_type;
  std::array<Entry*, 2> last_{};
};

}  // namespace caravan
