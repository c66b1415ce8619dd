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

// Receives the results of lookups.
class ResultObserver {
 public:
  virtual ~ResultObserver() = default;

  // Called once for each lookup. The observer closes the lookup and calls LookupDriver::end().
  virtual void on_result(Lookup& lookup, Reply&& reply) = 0;
};

// Brings lookups from their first question to their result: through the names of the search list, the nameservers and
// the tries, and over TCP after a truncated reply. One thread owns it.
class LookupDriver final : ReplyObserver {
 public:
  using TimePoint = Lookup::TimePoint;

  LookupDriver(LookupTable& lookups, SocketSet& sockets, ResultObserver& results, TimePoint now);
  LookupDriver(const LookupDriver&) = delete;
  LookupDriver& operator=(const LookupDriver&) = delete;
  ~LookupDriver() override = default;

  // Sets the time that all functions use until the next call.
  void set_time(TimePoint now) noexcept { now_ = now; }

  void begin(Lookup& lookup);
  // Releases the channels and the slot of a lookup.
  static void end(Lookup& lookup) noexcept;
  // Handles the expiry of the timer that was set by LookupTable::wake_at().
  void wake(Lookup& lookup);

  void read(const SocketSet::Ready& ready) noexcept { ready.channel->process(ready, now_); }
  void begin_turn() noexcept { admission_.begin_turn(); }
  // Lets waiting lookups ask, as far as there are slots. Ends lookups for which no caller waits.
  void admit();
  // Returns whether lookups wait for nothing but the next turn of the loop.
  bool is_behind() const noexcept { return admission_.is_behind(); }
  // Returns when admit() must be called next even if no reply comes.
  std::optional<TimePoint> next_sweep() const noexcept { return admission_.next_sweep(); }

  // Writes the questions that connections hold back. Returns whether there are replies to handle.
  bool flush() noexcept {
    channels_.flush(now_);
    return !arrivals_.empty();
  }
  // Handles the replies that have been read. Returns false if there were none.
  bool handle_replies();

  void tend();
  std::optional<TimePoint> next_tend() const { return channels_.next_tend(now_); }
  // Forgets a client, which must have no open lookups.
  void forget(ClientState& client) { admission_.forget(client); }

 private:
  // Why an attempt is made.
  enum class Cause : std::uint8_t { kNew, kRetry };

  struct Arrival {
    QueryToken token;
    Reply reply;
    bool is_awaited = true;  // false if the question was abandoned and its reply came nevertheless
    bool had_edns = false;   // whether the question had EDNS
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
  // Ends the lookup with its answer over UDP.
  void give_partial(Lookup& lookup) {
    const auto partial = std::move(lookup.partial);
    results_.on_result(lookup, std::move(*partial));
  }
  void candidate_failed(Lookup& lookup, Error error);
  // Continues with the next candidate, or ends the lookup after the last one. `reply` says why the current candidate
  // has no answer.
  void next_candidate(Lookup& lookup, Reply&& reply);

  LookupTable& lookups_;
  ResultObserver& results_;
  TimePoint now_;
  EndpointMemory endpoints_;
  std::vector<Arrival> arrivals_;
  std::vector<Arrival> handled_;  // empty; keeps its capacity for the next swap
  RestingLookups resting_;
  Admission admission_;
  // Declared after everything that c-ares' callbacks touch, because they run when a channel is destroyed.
  ChannelPool channels_;
  AttemptPlanner planner_;
  LostConnections lost_;
};

}  // namespace caravan
