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

// An open lookup: one inquiry and the callers that wait for its result.
struct Lookup {
  using TimePoint = std::chrono::steady_clock::time_point;

  // `first` opened the lookup; `others` joined it with equal inquiries. `first` has the earliest deadline.
  struct Waiters {
    Waiter first;
    std::vector<Waiter> others;
  };

  // What the lookup waits for, at most until its timer fires.
  enum class Wait : std::uint8_t {
    kForReply,
    kForTurn,   // for a slot or a channel for its next question
    kForPause,  // after all tries, before it asks once more
    kForTcp,    // for an answer over TCP, while it holds one over UDP that may lack records
  };

  LookupRef ref;
  ClientState* client = nullptr;    // null if the entry is free
  std::size_t index_in_client = 0;  // in ClientState::lookups
  Waiters waiters;
  bool joinable = false;
  std::size_t inquiry_hash = 0;  // of `inquiry`
  Admission::Slot slot;          // held while its last question is in flight

  Inquiry inquiry;
  std::shared_ptr<const Nameservers> nameservers;
  std::shared_ptr<const SearchList> search;  // null if no search list applies
  std::size_t first_server = 0;

  // The questions for the names of the search list. Empty if the inquiry's question is asked as it is.
  std::vector<Question> candidates;
  std::uint16_t candidate = 0;
  std::optional<AttemptPlan> plan;
  std::size_t outstanding = 0;  // attempts for this candidate whose reply has not been handled
  std::chrono::milliseconds attempt_timeout{0};
  TimePoint tcp_given_up;  // from when on an answer over UDP is accepted although one over TCP may still come
  // The last attempt: its channel and when it was made.
  Attempt attempt;
  const Channel* channel = nullptr;  // compared only, since it may be gone
  TimePoint asked;                   // TimePoint{} before the first attempt for the candidate
  ChannelSettings settings;
  bool is_retry = false;                 // of the next attempt
  bool connection_may_be_stale = false;  // of the last attempt
  // The channels of the attempts without a reply. A channel stays open as long as it is in here.
  std::vector<Channel*> channels;
  Wait waits = Wait::kForReply;

  bool has_lost_connection = false;
  EdnsTrials edns;

  // A pointer, because few lookups need it and it is large.
  std::unique_ptr<Reply> partial;  // an answer over UDP, used if none comes over TCP
  SearchVerdict verdict;           // over the candidates so far

  // Returns the question of the current candidate.
  const Question& question() const noexcept { return candidates.empty() ? inquiry.question : candidates[candidate]; }
  TimePoint deadline() const noexcept { return waiters.first.deadline; }
  bool awaits_tcp() const noexcept;
  bool is_wanted() const noexcept;
  // Gives up the replies that have not come, so that their channels can be closed. Returns false if there were none.
  bool release_channels() noexcept;
};

// Owns the open lookups and their timers. A LookupRef may outlive its lookup; a C++ reference is valid until close().
// One thread owns it.
class LookupTable {
 public:
  using TimePoint = Lookup::TimePoint;

  Lookup& open(ClientState& client);
  // Ends the lookup and returns its waiters.
  Lookup::Waiters close(Lookup& lookup);

  // Frees memory after a burst, if no lookup is open. Invalidates all C++ references.
  void tidy();

  // Returns null if the lookup has ended.
  Lookup* find(LookupRef ref) noexcept;

  void wake_at(Lookup& lookup, TimePoint when);
  std::optional<TimePoint> next_wake() const noexcept { return timers_.next(); }
  // Returns a lookup whose timer has expired by `now`, and cancels the timer. Returns null if no timer has.
  Lookup* take_due(TimePoint now) noexcept;

  template <typename Visitor>
  void for_each(Visitor visit) {
    for (auto& lookup : entries_) {
      if (lookup.client != nullptr) {
        visit(lookup);
      }
    }
  }

 private:
  // Shared by all entries, so that a LookupRef stays unique after tidy() has dropped the entries.
  std::uint32_t last_generation_ = 0;
  std::deque<Lookup> entries_;
  std::vector<std::uint32_t> free_;
  Timers timers_;  // by index
};

}  // namespace caravan
