#pragma once

#include <memory>
#include <utility>

#include "core/resolver/waiter.hpp"

namespace caravan {

// What two lookups, for A and AAAA records, say together about the addresses of a name.
Reply join_replies(const Reply& ipv4, const Reply& ipv6);

// Two waiters for the parts of one lookup; when both have their answers, `whole` gets its.
std::pair<Waiter, Waiter> split_waiter(Waiter whole);

}  // namespace caravan
