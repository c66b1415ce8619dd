#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <optional>

#include "core/ip_address.hpp"
#include "core/lookup_ref.hpp"

namespace caravan {

// Lets so many lookups onto the wire at a time, and the others wait in order. There is a lane for each nameserver that
// lookups begin with: those at a dead one keep no others from being asked.
class Admission {
 public:
  explicit Admission(std::size_t limit) noexcept : limit_{limit} {}

  // Whether a lookup may go at once. To be followed by leave() when it has ended.
  bool enter(const Nameserver& first);
  // It waits for its turn, which admit() tells.
  void enqueue(const Nameserver& first, LookupRef lookup);

  struct Admitted {
    Nameserver first;
    LookupRef lookup;
  };

  // The next lookup that may go; nothing when none may. To be followed by leave() when it has ended.
  std::optional<Admitted> admit();
  void leave(const Nameserver& first);

  std::size_t active() const noexcept { return active_; }

 private:
  struct Lane {
    std::size_t active = 0;
    std::deque<LookupRef> waiting;
  };

  std::size_t limit_;
  std::size_t active_ = 0;
  std::size_t waiting_ = 0;
  std::map<Nameserver, Lane> lanes_;
};

}  // namespace caravan
