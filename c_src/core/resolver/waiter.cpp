#include "core/resolver/waiter.hpp"

namespace caravan {

void Waiter::finish(const Reply& reply, std::unique_ptr<Rendering>* shared) const noexcept {
  const auto interest = receiver->deliver(reply, shared);
  const auto& client = place.client();
  if (!client) {
    return;
  }
  auto& stats = client->stats;
  switch (interest) {
    case Interest::kWaiting:
      stats.count_outcome(reply.error);
      stats.latency.record(Clock::now() - (deadline - timeout));
      break;
    case Interest::kCancelled:
      stats.count_outcome(Error::kCancelled);
      break;
    case Interest::kGone:
      stats.count(Counter::kAbandoned);
      break;
  }
}

}  // namespace caravan
