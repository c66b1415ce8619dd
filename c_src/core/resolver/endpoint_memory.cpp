#include "core/resolver/endpoint_memory.hpp"

#include <algorithm>

namespace caravan {
namespace {

constexpr std::chrono::seconds kTcpGivenUp{2};

}  // namespace

EndpointRecord& EndpointMemory::of(const Endpoint& endpoint) {
  auto*& last = last_[endpoint.tcp ? 1 : 0];
  if (last == nullptr || last->first.nameserver != endpoint.nameserver) {
    if (records_.size() >= kMaxEndpoints && !records_.contains(endpoint)) {
      records_.clear();
      last_ = {};
    }
    last = &*records_.try_emplace(endpoint).first;
  }
  return last->second;
}

std::bitset<kMaxNameservers> EndpointMemory::silent(const Nameservers& nameservers, bool tcp) {
  std::bitset<kMaxNameservers> silent;
  for (std::size_t i = 0; i < nameservers.size(); ++i) {
    silent[i] = of({nameservers[i], tcp}).silence() > EndpointRecord::Duration::zero();
  }
  return silent;
}

bool EndpointMemory::is_tcp_given_up(const Nameserver& nameserver) {
  return of({nameserver, true}).silence() >= kTcpGivenUp;
}

bool EndpointMemory::is_tcp_given_up(const Nameservers& nameservers) {
  return std::all_of(nameservers.begin(), nameservers.end(),
                     [this](const Nameserver& nameserver) { return is_tcp_given_up(nameserver); });
}

}  // namespace caravan
