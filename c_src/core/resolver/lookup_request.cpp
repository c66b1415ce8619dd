#include "core/resolver/lookup_request.hpp"

#include "core/wire/dns_name.hpp"

namespace caravan {
namespace {

Transport transport_for(RecordType type, const LookupOptions& wanted, const ClientOptions& otherwise) noexcept {
  const auto choice = wanted.transport.value_or(otherwise.transport);
  return choice.value_or(type == RecordType::kSrv ? Transport::kTcpFirst : Transport::kUdp);
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

Inquiry inquiry_of(const LookupRequest& request, const ClientOptions& otherwise) {
  const auto type = record_type(request.type);
  return {{request.name, type},
          transport_for(type, request.options, otherwise),
          request.options.nameservers.value_or(otherwise.nameservers)};
}

}  // namespace caravan
