#pragma once

#include <chrono>
#include <optional>

#include "core/resolver/edns_support.hpp"

namespace caravan {

// How a nameserver has answered over one transport lately. Owned by one thread.
class EndpointRecord {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  using Duration = TimePoint::duration;

  void on_question(TimePoint now) noexcept;
  // A question has had no reply in time, or its connection has ended after a while without one.
  void on_timeout(TimePoint now) noexcept { timed_out_ = now; }
  // The reply to a question that left at `asked`.
  void on_reply(TimePoint asked, TimePoint now) noexcept;

  // A connection has ended with questions that were not answered.
  void on_cut_off(TimePoint now) noexcept { cut_off_ = now; }

  // How many questions may be under way over one connection. At its end, which many servers put after so many
  // questions, what is under way is cut off and has to be asked for again; so it is few. To a nameserver that is far
  // away it is more: else the time would go by with waiting.
  static constexpr std::size_t kMinWindow = 32;
  static constexpr std::size_t kMaxWindow = 512;
  std::size_t window(TimePoint now) const noexcept;

  // What a reply takes on average. Nothing until one has come.
  std::optional<Duration> round_trip() const noexcept;

  // After how long a reply is late (RFC 6298, section 2). Nothing until one has come.
  std::optional<Duration> patience() const noexcept;

  // For how long it is known that nothing has come back although it was asked: from the first question since the last
  // reply until the last time-out. While nobody asks, nobody knows.
  Duration silence() const noexcept;

  EdnsSupport& edns() noexcept { return edns_; }

  // Whether it is time to find out if one that is silent is back. Once in a while: a caller that is told so asks.
  bool is_probe_due(TimePoint now) noexcept;

 private:
  struct Measured {
    Duration mean;
    Duration deviation;
    Duration least;
  };

  std::optional<Measured> measured_;
  std::optional<TimePoint> unanswered_since_;
  TimePoint timed_out_;
  std::optional<TimePoint> probed_;
  std::optional<TimePoint> cut_off_;
  EdnsSupport edns_;
};

}  // namespace caravan
