#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/attempt_plan.hpp"
#include "core/channel.hpp"
#include "core/dns_name.hpp"
#include "core/resolver.hpp"

namespace caravan {

// An open lookup: from its request to its one answer.
struct Lookup {
  using TimePoint = std::chrono::steady_clock::time_point;

  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  std::unique_ptr<Receiver> receiver;  // null: the slot is free
  bool active = false;                 // admitted to the wire, as opposed to waiting

  Question question;  // the candidate that is asked now
  std::shared_ptr<const Nameservers> nameservers;
  std::shared_ptr<const SearchList> search;  // null: names are taken as they are
  Transport transport = Transport::kUdp;
  TimePoint deadline;
  std::chrono::milliseconds timeout{0};

  std::vector<std::string> candidates;
  std::uint16_t candidate = 0;
  std::optional<AttemptPlan> plan;
  std::size_t outstanding = 0;  // attempts of this candidate without a reply
  std::chrono::milliseconds attempt_timeout{0};

  std::optional<Reply> partial;          // a truncated answer, should TCP not give the whole one
  std::optional<Error> candidate_error;  // why the first candidate that could not be asked could not
  std::optional<Reply> negative;         // what the candidates so far have said
};

// Holds the open lookups, names them by tokens that outlive them, and knows when each wants to be looked at next.
// References stay valid until close(). Owned by one thread.
class LookupTable {
 public:
  using TimePoint = Lookup::TimePoint;

  Lookup& open();
  // The receiver goes back to the caller: its destructor is none of the table's business.
  std::unique_ptr<Receiver> close(Lookup& lookup);

  // Nothing when the lookup has ended.
  Lookup* find(std::uint32_t slot, std::uint32_t generation) noexcept;

  void wake_at(Lookup& lookup, TimePoint when);
  std::optional<TimePoint> next_wake() const noexcept;
  // Removes and gives one lookup whose time has come; nothing when there is none.
  Lookup* take_due(TimePoint now) noexcept;

  template <typename Visitor>
  void for_each(Visitor visit) {
    for (auto& lookup : slots_) {
      if (lookup.receiver) {
        visit(lookup);
      }
    }
  }

 private:
  using Timers = std::multimap<TimePoint, std::uint32_t>;

  std::deque<Lookup> slots_;
  std::vector<std::uint32_t> free_;
  Timers timers_;
  std::vector<Timers::iterator> timer_of_;  // parallel to slots_; end() when there is none
};

}  // namespace caravan
