#include "core/resolver/lost_connections.hpp"

#include <algorithm>
#include <iterator>

#include "core/resolver/endpoint_record.hpp"

namespace caravan {
namespace {

// Connections lost under one lookup that count as no try: where a nameserver closes each after an answer, those before
// it go first.
constexpr std::uint8_t kMaxLostConnections = 2 * EndpointRecord::kMinWindow;

}  // namespace

bool LostConnections::has_lost_one(const Lookup& lookup, Attempt attempt, Error error, TimePoint now) const {
  if (error != Error::kConnrefused || !attempt.tcp || lookup.lost_connections >= kMaxLostConnections) {
    return false;
  }
  // The first one may have been idle; after that each has to bring something, so that all are answered in the end.
  const auto since = lookup.lost_connections == 0 ? now - 2 * ChannelPool::kConnectionIdleLimit : lookup.asked;
  return channels_.has_answered_since(since, lookup.settings, lookup.channel);
}

void LostConnections::add(Lookup& lookup) {
  ++lookup.lost_connections;
  cut_off_.emplace_back(lookup.deadline(), lookup.ref);
}

std::vector<LookupRef> LostConnections::take() {
  std::sort(cut_off_.begin(), cut_off_.end());
  std::vector<LookupRef> refs;
  refs.reserve(cut_off_.size());
  std::transform(cut_off_.begin(), cut_off_.end(), std::back_inserter(refs),
                 [](const auto& entry) { return entry.second; });
  cut_off_.clear();
  return refs;
}

}  // namespace caravan
