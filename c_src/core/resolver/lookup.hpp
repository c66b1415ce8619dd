#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "core/resolver/admission.hpp"
#include "core/resolver/attempt_plan.hpp"
#include "core/resolver/channel.hpp"
#include "core/resolver/edns_trials.hpp"
#include "core/resolver/inquiry.hpp"
#include "core/resolver/lookup_ref.hpp"
#include "core/resolver/search_verdict.hpp"
#include "core/resolver/timers.hpp"
#include "core/resolver/waiter.hpp"
#include "core/wire/dns_name.hpp"

namespace caravan {

struct ClientState;

// One inquiry on its way, and who waits for what comes of it.
struct Lookup {
  using TimePoint = std::chrono::steady_clock::time_point;

  // The first one asked first; the others, with equal questions, joined it. None has an earlier deadline.
  struct Waiters {
    Waiter first;
    std::vector<Waiter> others;
  };

  // What for, until it is woken at the latest.
  enum class Wait : std::uint8_t {
    kForReply,
    kForTurn,   // until there is room for its next question
    kForPause,  // after all tries, until it asks once more
    kForTcp,    // with an answer over UDP, which may lack records
  };

  LookupRef ref;
  ClientState* client = nullptr;    // null: nobody has this entry
  std::size_t index_in_client = 0;  // in ClientState::lookups
  Waiters waiters;
  bool joinable = false;
  std::size_t inquiry_hash = 0;  // while it is joinable
  Admission::Slot slot;          // held while its last question is in flight

  Inquiry inquiry;
  std::shared_ptr<const Nameservers> nameservers;
  std::shared_ptr<const SearchList> search;  // null: names are taken as they are
  std::size_t first_server = 0;

  // What the search list makes of the question; empty when it is asked as it is.
  std::vector<Question> candidates;
  std::uint16_t candidate = 0;
  std::optional<AttemptPlan> plan;
  std::size_t outstanding = 0;  // attempts of this candidate without a reply that was handled
  std::chrono::milliseconds attempt_timeout{0};
  TimePoint tcp_given_up;  // when an answer over UDP counts although one over TCP may still come
  // The last attempt: what it went over, and when.
  Attempt attempt;
  const Channel* channel = nullptr;  // to be compared only: it may be gone
  TimePoint asked;                   // TimePoint{} before the first attempt for the candidate
  ChannelSettings settings;
  bool is_retry = false;           // the next attempt
  bool doubts_connection = false;  // that the last attempt went over
  // What the attempts without a reply went over. A channel stays open as long as it is in here.
  std::vector<Channel*> channels;
  Wait waits = Wait::kForReply;

  bool has_lost_connection = false;
  EdnsTrials edns;

  // No optional: few lookups need it, and it is large.
  std::unique_ptr<Reply> partial;  // an answer over UDP that may lack records, should TCP not give them
  SearchVerdict verdict;           // of the candidates so far

  // The candidate that is asked now.
  const Question& question() const noexcept { return candidates.empty() ? inquiry.question : candidates[candidate]; }
  TimePoint deadline() const noexcept { return waiters.first.deadline; }
  bool awaits_tcp() const noexcept;
  bool is_wanted() const noexcept;
  // Nobody waits for the replies to what it has asked any more. Returns false if there were none to wait for.
  bool let_go_of_channels() noexcept;
};

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
  std::optional<TimePoint> next_wake() const noexcept { return timers_.next(); }
  // Removes and gives one lookup whose time has come; null when there is none.
  Lookup* take_due(TimePoint now) noexcept;

  template <typename Visitor>
  void for_each(Visitor visit) {
    for (auto& lookup : places_) {
      if (lookup.client != nullptr) {
        visit(lookup);
      }
    }
  }

 private:
  // Of all places together: a place may come again when all have been given back.
  std::uint32_t last_generation_ = 0;
  std::deque<Lookup> places_;
  std::vector<std::uint32_t> free_;
  Timers timers_;  // by index
};

}  // namespace caravan
