#include "core/resolver/lookup.hpp"

#include <algorithm>

namespace caravan {

bool Lookup::is_wanted() const noexcept {
  const auto is_waiting = [](const Waiter& waiter) { return waiter.receiver->interest() == Interest::kWaiting; };
  return is_waiting(waiters.first) || std::any_of(waiters.others.begin(), waiters.others.end(), is_waiting);
}

bool Lookup::awaits_tcp() const noexcept {
  return std::any_of(channels.begin(), channels.end(),
                     [](const Channel* each) { return each->settings().endpoint.tcp; });
}

bool Lookup::let_go_of_channels() noexcept {
  for (auto* each : channels) {
    each->abandon();
  }
  outstanding -= channels.size();
  const bool any = !channels.empty();
  channels.clear();
  return any;
}

}  // namespace caravan
