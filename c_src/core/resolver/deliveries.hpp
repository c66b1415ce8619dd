#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "core/resolver/waiter.hpp"

namespace caravan {

// Answers on their way to many waiters at once, a part at a time: each waiter gets a copy, and ten thousand may have
// joined one lookup of a thousand records. Owned by one thread.
class Deliveries {
 public:
  void add(std::shared_ptr<const Reply> reply, std::vector<Waiter> waiters) {
    if (!waiters.empty()) {
      pending_.push_back({std::move(reply), std::move(waiters), 0});
    }
  }

  // Finishes waiters until they have got about so many records; one that gets none counts as some. Returns whether no
  // waiter is left.
  template <typename Finish>
  bool finish_some(std::size_t records, Finish finish) {
    for (std::size_t done = 0; !pending_.empty() && done < records;) {
      const auto reply = pending_.front().reply;
      const auto waiter = std::move(pending_.front().waiters[pending_.front().next++]);
      if (pending_.front().next == pending_.front().waiters.size()) {
        pending_.pop_front();
      }
      finish(waiter, *reply);
      done += kCostOfWaiter + reply->srv.size() + reply->addresses.size() + reply->glue.size();
    }
    return pending_.empty();
  }

 private:
  // To send a message takes as long as to copy so many records.
  static constexpr std::size_t kCostOfWaiter = 8;

  struct Pending {
    std::shared_ptr<const Reply> reply;
    std::vector<Waiter> waiters;
    std::size_t next = 0;
  };

  std::deque<Pending> pending_;
};

}  // namespace caravan
