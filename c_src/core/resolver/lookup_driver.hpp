#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/resolver/admission.hpp"
#include "core/resolver/attempt_planner.hpp"
#include "core/resolver/channel.hpp"
#include "core/resolver/channel_pool.hpp"
#include "core/resolver/endpoint_memory.hpp"
#include "core/resolver/lookup.hpp"
#include "core/resolver/lost_connections.hpp"
#include "core/resolver/resting_lookups.hpp"
#include "core/resolver/socket_set.hpp"

namespace caravan {

// Takes the results of lookups.
class ResultObserver {
 public:
  virtual ~ResultObserver() = default;

  // The lookup is on its way no more; the observer closes it, with LookupDriver::end().
  virtual void on_result(Lookup& lookup, Reply&& reply) = 0;
};

// Brings lookups from their first question to their result: through the names of the search list, the nameservers and
// the tries, and over TCP when an answer was truncated. Owned by one thread.
class LookupDriver final : ReplyObserver {
 public:
  using TimePoint = Lookup::TimePoint;

  LookupDriver(LookupTable& lookups, SocketSet& sockets, ResultObserver& results, TimePoint now);
  LookupDriver(const LookupDriver&) = delete;
  LookupDriver& operator=(const LookupDriver&) = delete;
  ~LookupDriver() override = default;

  // All that happens until the next call happens now.
  void set_time(TimePoint now) noexcept { now_ = now; }

  void begin(Lookup& lookup);
  // The lookup asks nobody any more.
  static void end(Lookup& lookup) noexcept;
  // The time has come that was given to LookupTable::wake_at().
  void wake(Lookup& lookup);

  void read(const SocketSet::Ready& ready) noexcept { ready.channel->process(ready, now_); }
  void begin_turn() noexcept { admission_.begin_turn(); }
  // Lets those ask that have waited for their turn. Those that nobody waits for are ended.
  void admit();
  // Whether some have to wait for the next turn of the loop, and for nothing else.
  bool is_behind() const noexcept { return admission_.is_behind(); }
  // When admit() may have something to do without a reply.
  std::optional<TimePoint> next_sweep() const noexcept { return admission_.next_sweep(); }

  // Writes what was asked over connections. Returns whether there are replies to act upon.
  bool flush() noexcept {
    channels_.flush(now_);
    return !arrivals_.empty();
  }
  // Acts upon the replies that have been read; false when there was none.
  bool handle_replies();

  void tend();
  std::optional<TimePoint> next_tend() const { return channels_.next_tend(now_); }
  // None of the client's lookups is open.
  void forget(ClientState& client) { admission_.forget(client); }

 private:
  // Why a question is sent.
  enum class Cause : std::uint8_t { kNew, kRetry };

  struct Arrival {
    QueryToken token;
    Reply reply;
    bool is_awaited = true;  // else the question was abandoned, and the reply came all the same
    bool had_edns = false;   // the question
  };

  bool on_reply(const Channel& channel, QueryToken token, std::span<const std::uint8_t> message,
                Error failure) noexcept override;

  Lookup* find(LookupRef ref, std::uint16_t candidate) noexcept;
  void ask_candidate(Lookup& lookup);
  EndpointRecord& record_of(const Lookup& lookup, std::size_t server, bool tcp);
  bool asks_without_edns(Lookup& lookup, const Arrival& arrival);
  void note_silence_with_edns(Lookup& lookup);
  void attempt_next(Lookup& lookup, Cause cause);
  void ask(Lookup& lookup);
  void resume(Lookup& lookup);
  std::optional<Error> send(Lookup& lookup, Attempt attempt, const ChannelSettings& settings);
  void rest(Lookup& lookup);
  void ask_again(Lookup& lookup);
  ChannelPool::Choice get_channel(const ChannelSettings& settings);
  void await_turn(Lookup& lookup, const Endpoint& endpoint);
  void handle(Arrival& arrival);
  void handle_truncated(Lookup& lookup, Attempt attempt, Reply&& reply);
  void handle_answer(Lookup& lookup, Attempt attempt, Reply&& reply);
  void handle_failure(Lookup& lookup, Attempt attempt, Error error);
  void note_silence(const Lookup& lookup);
  void ask_over_new_connection(Lookup& lookup);
  void give_up_silent_channel(const Lookup& lookup);
  // Gives what has come over UDP.
  void give_partial(Lookup& lookup) {
    const auto partial = std::move(lookup.partial);
    results_.on_result(lookup, std::move(*partial));
  }
  void candidate_failed(Lookup& lookup, Error error);
  // After one that has no answer, for which `reply` says why.
  void next_candidate(Lookup& lookup, Reply&& reply);

  LookupTable& lookups_;
  ResultObserver& results_;
  TimePoint now_;
  EndpointMemory endpoints_;
  std::vector<Arrival> arrivals_;
  std::vector<Arrival> handled_;  // empty; keeps its memory
  RestingLookups resting_;
  Admission admission_;
  // After everything that a callback of c-ares touches: closing a channel calls back.
  ChannelPool channels_;
  AttemptPlanner planner_;
  LostConnections lost_;
};

}  // namespace caravan
