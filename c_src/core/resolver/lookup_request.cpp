#include "core/resolver/lookup_request.hpp"

#include <utility>

#include "core/wire/dns_name.hpp"

namespace caravan {
namespace {

Transport default_transport(RecordType type, bool uses_tcp) noexcept {
  if (uses_tcp) {
    return Transport::kTcp;
  }
  return type == RecordType::kSrv ? Transport::kTcpFirst : Transport::kUdp;
}

RecordType record_type(LookupType type) noexcept {
  switch (type) {
    case LookupType::kSrv:
      return RecordType::kSrv;
    case LookupType::kAaaa:
      return RecordType::kAaaa;
    case LookupType::kA:
    case LookupType::kAddresses:
      return RecordType::kA;
  }
  return RecordType::kA;
}

}  // namespace

bool can_be_looked_up(const LookupRequest& request) {
  return is_dns_name(request.name) || (request.type == LookupType::kAddresses && parse_ip_address(request.name));
}

Inquiry inquiry_of(LookupRequest& request, const ClientOptions& defaults, std::shared_ptr<const SystemConfig> system) {
  const auto type = record_type(request.type);
  auto nameservers = request.options.nameservers.value_or(defaults.nameservers);
  const auto transport = request.options.transport.value_or(defaults.transport)
                             .value_or(default_transport(type, system->use_vc && !nameservers));
  return {{std::move(request.name), type}, transport, std::move(nameservers), std::move(system)};
}

}  // namespace caravan
