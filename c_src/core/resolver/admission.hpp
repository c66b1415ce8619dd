#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <optional>

#include "core/resolver/lookup_ref.hpp"
#include "core/wire/ip_address.hpp"

namespace caravan {

// The nameserver that a lookup begins with, and over what.
struct Route {
  Nameserver nameserver;
  bool tcp = false;

  auto operator<=>(const Route&) const = default;
};

// Lets so many lookups onto the wire at a time, and the others wait in order. There is a lane for each route: those to
// a dead nameserver keep no others from being asked.
class Admission {
 public:
  // Questions over one connection. At its end, which many servers put after so many questions, what is under way is cut
  // off and has to be asked for again.
  static constexpr std::size_t kMaxPipelined = 32;

  explicit Admission(std::size_t limit) noexcept : limit_{limit} {}

  // Whether a lookup may go at once. To be followed by leave() when it has ended.
  bool enter(const Route& route);
  // It waits for its turn, which admit() tells.
  void enqueue(const Route& route, LookupRef lookup);

  struct Admitted {
    Route route;
    LookupRef lookup;
  };

  // The next lookup that may go; nothing when none may. To be followed by leave() when it has ended.
  std::optional<Admitted> admit();
  void leave(const Route& route);

  std::size_t active() const noexcept { return active_; }

 private:
  struct Lane {
    std::size_t active = 0;
    std::deque<LookupRef> waiting;
  };

  bool has_room(const Route& route, const Lane& lane) const noexcept;

  std::size_t limit_;
  std::size_t active_ = 0;
  std::size_t waiting_ = 0;
  std::map<Route, Lane> lanes_;
};

}  // namespace caravan
