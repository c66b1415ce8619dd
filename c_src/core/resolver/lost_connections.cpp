#include "core/resolver/lost_connections.hpp"

#include <algorithm>
#include <utility>

namespace caravan {
bool LostConnections::is_cut_off(const Lookup& lookup, Attempt attempt, Error error, TimePoint now) const {
  const bool is_last = attempt.server == lookup.attempt.server && lookup.attempt.tcp;
  if (error != Error::kConnrefused || !attempt.tcp || !is_last) {
    return false;
  }
  // The first connection may have been idle before the question. Each one after that must have brought a reply since
  // the question, so that repeated questions make progress.
  const auto since = !lookup.has_lost_connection ? now - 2 * ChannelPool::kConnectionIdleLimit : lookup.asked;
  return channels_.has_answered_after(since, lookup.settings, lookup.channel);
}

void LostConnections::add(Lookup& lookup) {
  lookup.has_lost_connection = true;
  cut_off_.push_back({lookup.deadline(), lookup.ref, lookup.candidate});
}

std::vector<LostConnections::CutOff> LostConnections::take() {
  std::sort(cut_off_.begin(), cut_off_.end());
  cut_off_.erase(std::unique(cut_off_.begin(), cut_off_.end()), cut_off_.end());
  return std::exchange(cut_off_, {});
}

}  // namespace caravan
