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

// What two lookups, for A and AAAA records, say together about the addresses of a name.
Reply join_replies(const Reply& ipv4, const Reply& ipv6);

// Lookups of addresses. Each waits for two others, for both families of a name; where there is none of either, for
// those of the next name of the search list: of two names, the addresses may be those of different hosts. There are
// servers that never answer for one family: once there are addresses of the other one, it gets a short time more. Owned
// by one thread.
class AddressJoins {
 public:
  using TimePoint = Waiter::Clock::time_point;

  // How long the second family may take after the first one. A question that was lost is repeated twice within it.
  static constexpr std::chrono::milliseconds kGrace{800};

  struct Join;
  using JoinRef = std::shared_ptr<Join>;

  // One of the two, and who waits for it. It is to be finished while this lives.
  struct Part {
    Inquiry inquiry;
    Waiter waiter;
  };
  struct Parts {
    Part ipv4;
    Part ipv6;
  };

  // A lookup of addresses, of which split() gives the first parts. `inquiry` says whom to ask, and how; `names`, of
  // which there is one at least, what for, in order.
  static JoinRef begin(Waiter whole, Inquiry inquiry, std::vector<std::string> names);

  // Those of which the next name is to be looked up; null when there is none.
  JoinRef take_unfinished();

  Parts split(const JoinRef& join);
  // Its resolver is closed, and nobody is asked for the next name.
  static void close(Join& join) noexcept;
  // By which lookups the parts are answered; kNoLookup if it is none that was begun for them.
  static void set_lookups(Join& join, LookupRef ipv4, LookupRef ipv6) noexcept;
  // Whose lookup it is.
  static const std::shared_ptr<Client>& client_of(const Join& join) noexcept;

  // When end_late() has something to do; nothing when it never has.
  std::optional<TimePoint> next_end() const noexcept;
  // Ends those of which the second family is late. Gives the lookups that were begun for it.
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
