#include "core/resolver/admission.hpp"

#include <algorithm>

namespace caravan {

bool Admission::has_room(const Endpoint& route, const Lane& lane) const noexcept {
  return lane.active < (route.tcp ? std::min(limit_, kMaxPipelined) : limit_);
}

bool Admission::enter(const Endpoint& route) {
  auto& lane = lanes_[route];
  if (!has_room(route, lane) || !lane.waiting.empty()) {
    return false;
  }
  ++lane.active;
  ++active_;
  return true;
}

void Admission::enqueue(const Endpoint& route, LookupRef lookup) {
  lanes_[route].waiting.push_back(lookup);
  ++waiting_;
}

std::optional<Admission::Admitted> Admission::admit() {
  if (waiting_ == 0) {
    return std::nullopt;
  }
  const auto found = std::find_if(lanes_.begin(), lanes_.end(), [this](const auto& entry) {
    return has_room(entry.first, entry.second) && !entry.second.waiting.empty();
  });
  if (found == lanes_.end()) {
    return std::nullopt;
  }
  auto& lane = found->second;
  const Admitted admitted{found->first, lane.waiting.front()};
  lane.waiting.pop_front();
  --waiting_;
  ++lane.active;
  ++active_;
  return admitted;
}

void Admission::leave(const Endpoint& route) {
  const auto found = lanes_.find(route);
  --found->second.active;
  --active_;
  if (found->second.active == 0 && found->second.waiting.empty()) {
    lanes_.erase(found);
  }
}

}  // namespace caravan
