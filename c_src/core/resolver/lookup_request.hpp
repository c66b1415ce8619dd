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

// What a lookup wants otherwise than its client.
struct LookupOptions {
  std::optional<std::shared_ptr<const Nameservers>> nameservers;  // null: the system's
  std::optional<TransportChoice> transport;
  std::optional<std::chrono::milliseconds> timeout;
  std::optional<bool> srv_order;
};

struct LookupRequest {
  LookupType type = LookupType::kSrv;
  std::string name;  // a trailing dot keeps the search list out
  LookupOptions options;
  Waiter waiter;  // but for the receiver, filled in by submit()
};

// A DNS name, or an address where its own addresses are wanted.
bool can_be_looked_up(const LookupRequest& request);

// What is to be asked: takes the name out of the request. By the request's options, otherwise by those of its client,
// and at the system's nameservers otherwise over TCP alone if the system uses nothing else. kAddresses: for IPv4.
Inquiry inquiry_of(LookupRequest& request, const ClientOptions& otherwise, std::shared_ptr<const SystemConfig> system);

}  // namespace caravan
