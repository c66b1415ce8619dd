#pragma once

#include "core/wire/ip_address.hpp"

namespace caravan {

// A nameserver over one transport.
struct Endpoint {
  Nameserver nameserver;
  bool tcp = false;

  auto operator<=>(const Endpoint&) const = default;
};

}  // namespace caravan
