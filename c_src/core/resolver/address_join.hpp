#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/resolver/inquiry.hpp"
#include "core/resolver/lookup_ref.hpp"
#include "core/resolver/waiter.hpp"

namespace caravan {

// Combines the replies for the A and the AAAA records of a name into one reply with its addresses.
Reply join_replies(const Reply& ipv4, const Reply& ipv6);

// Lookups of addresses. Each consists of two lookups, for the A and the AAAA records of a name. If neither has records,
// the next name of the search list follows; addresses of two names are never combined, because they may belong to
// different hosts. Some nameservers never answer for one family, so once the other family has addresses, the late one
// has only kGrace more. One thread owns it.
class AddressJoins {
 public:
  using TimePoint = Waiter::Clock::time_point;

  // How long the second family may take after the first one. Two retries of a lost question fit into it.
  static constexpr std::chrono::milliseconds kGrace{800};

  struct Join;
  using JoinRef = std::shared_ptr<Join>;

  // One of the two lookups and its waiter. It must be finished before AddressJoins is destroyed.
  struct Part {
    Inquiry inquiry;
    Waiter waiter;
  };
  struct Parts {
    Part ipv4;
    Part ipv6;
  };

  // Creates a join for a caller. `inquiry` says which nameservers to ask and how. `names`, which must not be empty, are
  // looked up in order. split() returns the lookups for the first name.
  static JoinRef begin(Waiter waiter, Inquiry inquiry, std::vector<std::string> names);

  // Returns a join whose next name must be looked up, or null if no join has one.
  JoinRef take_unfinished();

  Parts split(const JoinRef& join);
  // Ends the join with kClosed. Its resolver is closed, so no further name is looked up.
  static void close(Join& join) noexcept;
  // Stores which lookups were opened for the parts. kNoLookup stands for a part that was answered at once or that
  // joined another lookup.
  static void set_lookups(Join& join, LookupRef ipv4, LookupRef ipv6) noexcept;
  // Returns the client that the caller's lookup belongs to.
  static const std::shared_ptr<Client>& client_of(const Join& join) noexcept;

  // Returns when end_late() must be called next, or nullopt if no join waits for a second family.
  std::optional<TimePoint> next_end() const noexcept;
  // Ends the joins whose second family is late, as of `now`. Returns the lookups that were opened for the late family.
  std::vector<LookupRef> end_late(TimePoint now);

 private:
  class Half;
  struct HalfAnswered {
    TimePoint end;
    std::weak_ptr<Join> join;
    std::size_t name;
  };

  void answered(const JoinRef& join);

  std::deque<HalfAnswered> half_answered_;
  std::deque<JoinRef> unfinished_;
};

}  // namespace caravan
