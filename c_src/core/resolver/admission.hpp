#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <optional>

#include "core/resolver/endpoint.hpp"
#include "core/resolver/lookup_ref.hpp"

namespace caravan {

// Lets so many lookups onto the wire at a time, and the others wait in order. There is a lane for each route: those to
// a dead nameserver keep no others from being asked.
class Admission {
 public:
  // Questions over one connection. At its end, which many servers put after so many questions, what is under way is cut
  // off and has to be asked for again.
  static constexpr std::size_t kMaxPipelined = 32;

  explicit Admission(std::size_t limit) noexcept : limit_{limit} {}

  // Whether a lookup may go at once. To be followed by leave() when it has ended.
  bool enter(const Endpoint& route);
  // It waits for its turn, which admit() tells.
  void enqueue(const Endpoint& route, LookupRef lookup);

  struct Admitted {
    Endpoint route;
    LookupRef lookup;
  };

  // The next lookup that may go; nothing when none may. To be followed by leave() when it has ended.
  std::optional<Admitted> admit();
  void leave(const Endpoint& route);

  std::size_t active() const noexcept { return active_; }

 private:
  struct Lane {
    std::size_t active = 0;
    std::deque<LookupRef> waiting;
  };

  bool has_room(const Endpoint& route, const Lane& lane) const noexcept;

  std::size_t limit_;
  std::size_t active_ = 0;
  std::size_t waiting_ = 0;
  std::map<Endpoint, Lane> lanes_;
};

}  // namespace caravan
