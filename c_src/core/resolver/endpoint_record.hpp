#pragma once

#include <chrono>
#include <optional>

#include "core/resolver/edns_support.hpp"

namespace caravan {

// How a nameserver has answered over one transport lately. One thread owns it.
class EndpointRecord {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  using Duration = TimePoint::duration;

  void on_question(TimePoint now) noexcept;
  // Records that a question had no reply in time, or that its connection ended after a while without one.
  void on_timeout(TimePoint now) noexcept { timed_out_ = now; }
  // Records a reply to a question that was sent at `asked`.
  void on_reply(TimePoint asked, TimePoint now) noexcept;

  // Records that a connection ended with unanswered questions.
  void on_cut_off(TimePoint now) noexcept { cut_off_ = now; }

  // Returns how many questions may be in flight over one connection. Many nameservers close a connection after a number
  // of questions. Those in flight are then lost and must be repeated, so there are few. A distant nameserver that has
  // not closed a connection lately gets more, since it would otherwise answer few questions per second.
  static constexpr std::size_t kMinWindow = 32;
  static constexpr std::size_t kMaxWindow = 512;
  std::size_t window(TimePoint now) const noexcept;

  // Returns the mean round trip, or nullopt before the first reply.
  std::optional<Duration> round_trip() const noexcept;

  // Returns after what time a reply is late (RFC 6298, section 2), or nullopt before the first reply.
  std::optional<Duration> retransmission_timeout() const noexcept;

  // Returns how long the nameserver is known to be silent: from the first question since the last reply to the last
  // time-out. Time in which no question was asked after that does not count.
  Duration silence() const noexcept;

  EdnsSupport& edns() noexcept { return edns_; }

  // Returns whether it is time to probe a silent nameserver. The caller must send the probe if this returns true, since
  // it returns false for a while after that.
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
