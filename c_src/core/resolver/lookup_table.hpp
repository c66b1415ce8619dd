#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "core/resolver/lookup.hpp"

namespace caravan {

// Holds the open lookups, names them by references that outlive them, and knows when each wants to be looked at next.
// C++ references stay valid until close(). Owned by one thread.
class LookupTable {
 public:
  using TimePoint = Lookup::TimePoint;

  Lookup& open(ClientState& client);
  // Gives back who waits.
  Lookup::Waiters close(Lookup& lookup);

  // Gives memory back after a burst. No reference to a lookup may be in use.
  void tidy();

  // Null when the lookup has ended.
  Lookup* find(LookupRef ref) noexcept;

  void wake_at(Lookup& lookup, TimePoint when);
  std::optional<TimePoint> next_wake() const noexcept;
  // Removes and gives one lookup whose time has come; null when there is none.
  Lookup* take_due(TimePoint now) noexcept;

  template <typename Visitor>
  void for_each(Visitor visit) {
    for (auto& lookup : slots_) {
      if (lookup.client != nullptr) {
        visit(lookup);
      }
    }
  }

 private:
  using Timers = std::multimap<TimePoint, std::uint32_t>;

  // Of all slots together: a slot may come again when all have been given back.
  std::uint32_t last_generation_ = 0;
  std::deque<Lookup> slots_;
  std::vector<std::uint32_t> free_;
  Timers timers_;
  std::vector<Timers::iterator> timer_of_;  // parallel to slots_; end() when there is none
};

}  // namespace caravan
