#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/resolver/client.hpp"
#include "core/resolver/inquiry.hpp"
#include "core/resolver/waiter.hpp"

namespace caravan {

enum class LookupType : std::uint8_t { kSrv, kA, kAaaa, kAddresses };

// The options of one lookup, which override those of its client.
struct LookupOptions {
  std::optional<std::shared_ptr<const Nameservers>> nameservers;  // null for those of the system
  std::optional<TransportChoice> transport;
  std::optional<std::chrono::milliseconds> timeout;
  std::optional<bool> srv_order;
};

struct LookupRequest {
  LookupType type = LookupType::kSrv;
  std::string name;  // a trailing dot disables the search list
  LookupOptions options;
  Waiter waiter;  // Resolver::submit() sets all but the receiver
};

// Returns whether the request names a DNS name or, if it asks for addresses, an address.
bool can_be_looked_up(const LookupRequest& request);

// Makes the inquiry of a request, and moves the name out of it. The request's options override those of the client,
// `defaults`. If the system uses TCP only, so does a request to its nameservers that does not choose a transport. For
// kAddresses, returns the inquiry for IPv4.
Inquiry inquiry_of(LookupRequest& request, const ClientOptions& defaults, std::shared_ptr<const SystemConfig> system);

}  // namespace caravan
