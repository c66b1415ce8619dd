#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "core/resolver/waiter.hpp"

namespace caravan {

// Replies that many waiters get, delivered in parts, since ten thousand lookups may have joined one with a thousand
// records. Each waiter gets a copy of what the first receiver has made of the reply. One thread owns it.
class Deliveries {
 public:
  void add(std::shared_ptr<const Reply> reply, std::vector<Waiter> waiters) {
    if (!waiters.empty()) {
      pending_.push_back({std::move(reply), nullptr, std::move(waiters), 0});
    }
  }

  // Finishes waiters until they have received about `records` records. Returns whether no waiter is left.
  template <typename Finish>
  bool finish_some(std::size_t records, Finish finish) {
    for (std::size_t done = 0; !pending_.empty() && done < records;) {
      // `finish` may add deliveries. References into a deque stay valid when elements are added at its end.
      auto& pending = pending_.front();
      const auto waiter = std::move(pending.waiters[pending.next++]);
      const auto& reply = *pending.reply;
      finish(waiter, reply, &pending.rendering);
      done += kCostOfWaiter + reply.srv.size() + reply.addresses.size() + reply.glue.size();
      if (pending.next == pending.waiters.size()) {
        pending_.pop_front();
      }
    }
    return pending_.empty();
  }

 private:
  // Sending a message takes as long as copying this number of records.
  static constexpr std::size_t kCostOfWaiter = 8;

  struct Pending {
    std::shared_ptr<const Reply> reply;
    std::unique_ptr<Rendering> rendering;
    std::vector<Waiter> waiters;
    std::size_t next = 0;
  };

  std::deque<Pending> pending_;
};

}  // namespace caravan
