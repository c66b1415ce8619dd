#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/resolver/lookup_ref.hpp"
#include "core/resolver/waiter.hpp"

namespace caravan {

// What two lookups, for A and AAAA records, say together about the addresses of a name.
Reply join_replies(const Reply& ipv4, const Reply& ipv6);

// Lookups of addresses, each of which waits for two others. There are servers that never answer for one family: once
// there are addresses of the other one, it gets a short time more. Owned by one thread.
class AddressJoins {
 public:
  using TimePoint = Waiter::Clock::time_point;

  // How long the second family may take after the first one. A question that was lost is repeated within it.
  static constexpr std::chrono::milliseconds kGrace{500};

  struct Join;
  struct Split {
    Waiter ipv4;
    Waiter ipv6;
    std::shared_ptr<Join> join;
  };

  // Two waiters for the parts of one lookup; when both have their answers, `whole` gets its. They are to be finished
  // while this lives.
  Split split(Waiter whole);

  // By which lookups the parts are answered; kNoLookup if it is none that was begun for them.
  static void set_lookups(Join& join, LookupRef ipv4, LookupRef ipv6) noexcept;

  // When end_late() has something to do; nothing when it never has.
  std::optional<TimePoint> next_end() const noexcept;
  // Ends those of which the second family is late. Gives the lookups that were begun for it.
  std::vector<LookupRef> end_late(TimePoint now);

 private:
  class Half;

  std::deque<std::pair<TimePoint, std::weak_ptr<Join>>> half_answered_;
};

}  // namespace caravan
