#include "core/resolver/lookup.hpp"

#include <algorithm>

namespace caravan {

bool Lookup::is_wanted() const noexcept {
  const auto is_waiting = [](const Waiter& waiter) { return waiter.receiver->interest() == Interest::kWaiting; };
  return is_waiting(waiters.first) || std::any_of(waiters.others.begin(), waiters.others.end(), is_waiting);
}

}  // namespace caravan
