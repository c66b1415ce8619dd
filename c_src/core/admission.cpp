#include "core/admission.hpp"

#include <algorithm>

namespace caravan {

bool Admission::enter(const Nameserver& first) {
  auto& lane = lanes_[first];
  if (lane.active >= limit_ || !lane.waiting.empty()) {
    return false;
  }
  ++lane.active;
  ++active_;
  return true;
}

void Admission::enqueue(const Nameserver& first, LookupRef lookup) {
  lanes_[first].waiting.push_back(lookup);
  ++waiting_;
}

std::optional<Admission::Admitted> Admission::admit() {
  if (waiting_ == 0) {
    return std::nullopt;
  }
  const auto found = std::find_if(lanes_.begin(), lanes_.end(), [this](const auto& entry) {
    return entry.second.active < limit_ && !entry.second.waiting.empty();
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

void Admission::leave(const Nameserver& first) {
  const auto found = lanes_.find(first);
  --found->second.active;
  --active_;
  if (found->second.active == 0 && found->second.waiting.empty()) {
    lanes_.erase(found);
  }
}

}  // namespace caravan
