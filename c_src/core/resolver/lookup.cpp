#include "core/resolver/lookup.hpp"

#include <algorithm>

namespace caravan {

bool Lookup::is_wanted() const noexcept {
  const auto waits = [](const Waiter& waiter) { return waiter.receiver->interest() == Interest::kWaiting; };
  return waits(waiters.first) || std::any_of(waiters.others.begin(), waiters.others.end(), waits);
}

}  // namespace caravan
