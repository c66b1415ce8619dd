#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/resolver/attempt_plan.hpp"
#include "core/resolver/endpoint.hpp"
#include "core/resolver/incoming.hpp"
#include "core/resolver/lookup_ref.hpp"
#include "core/resolver/socket_set.hpp"
#include "core/system/cares.hpp"
#include "core/wire/dns_message.hpp"
#include "core/wire/ip_address.hpp"

namespace caravan {

// Names one attempt of one lookup; the reply to a lookup that has ended in the meantime finds nobody.
struct QueryToken {
  LookupRef lookup;
  std::uint16_t candidate = 0;
  Attempt attempt;
  std::chrono::steady_clock::time_point asked;
};

class Channel;

// Takes the replies of all channels, inside c-ares' callback: it must not call c-ares.
class ReplyObserver {
 public:
  virtual ~ReplyObserver() = default;

  // `message` is empty when there is none; `failure` says why then, kSystem if there are no descriptors left. Returns
  // whether somebody has waited for the reply; false if Channel::abandon() was called for the question.
  virtual bool on_reply(const Channel& channel, QueryToken token, std::span<const std::uint8_t> message,
                        Error failure) noexcept = 0;
};

// How a channel asks one endpoint.
struct ChannelSettings {
  Endpoint endpoint;
  std::uint16_t edns_size = kMaxEdnsSize;  // over UDP; 0: no EDNS
  bool mixed_case = false;                 // over UDP

  auto operator<=>(const ChannelSettings&) const = default;

  // How long an answer may be (RFC 1035, section 4.2.1; RFC 6891, section 6.2.3).
  std::size_t largest_reply() const noexcept;
};

// A c-ares channel to one nameserver over one transport. Fail-over, retries and deadlines are ours, not c-ares': its
// defaults differ by a factor of seven between versions, 1.18 reports SERVFAIL as "connection refused", and it tells
// neither which nameserver answered nor over which transport. Owned by one thread.
class Channel {
 public:
  using Clock = std::chrono::steady_clock;

  // Nothing when c-ares gives no channel.
  static std::unique_ptr<Channel> open(const ChannelSettings& settings, SocketSet& sockets, ReplyObserver& observer,
                                       Clock::time_point now);

  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel();

  // Sends the question. The reply may be reported before this returns.
  void send(const Question& question, QueryToken token, Clock::time_point now);

  void process(const SocketSet::Ready& ready, Clock::time_point now) noexcept;

  // Writes the questions that c-ares keeps until its connection can be written to, which it nearly always can.
  void flush(Clock::time_point now) noexcept;

  // Nobody waits any more for the reply to one of the questions in flight. c-ares cannot cancel a single one.
  void abandon() noexcept { ++abandoned_; }
  // Whether no further question goes over it.
  bool is_retired() const noexcept { return is_retired_; }
  void set_retired(bool retired) noexcept { is_retired_ = retired; }
  // Whether nobody waits for anything that comes over this channel.
  bool is_forsaken() const noexcept { return abandoned_ == in_flight_; }

  const ChannelSettings& settings() const noexcept { return settings_; }
  std::size_t in_flight() const noexcept { return in_flight_; }
  // Questions since nothing was in flight last: as many have left from the same source port. c-ares closes its socket
  // when nothing is in flight any more.
  std::size_t sent_in_a_row() const noexcept { return sent_in_a_row_; }
  Clock::time_point opened() const noexcept { return opened_; }
  Clock::time_point last_used() const noexcept { return last_used_; }
  Clock::time_point last_reply() const noexcept { return last_reply_; }
  // Whether it has answered before, and not since it was idle: what lies on the way may have forgotten it.
  bool is_doubtful() const noexcept { return last_reply_ != Clock::time_point{} && last_reply_ < busy_since_; }

 private:
  struct Pending;
  static constexpr int kNoSocket = -1;
  // More than are in flight over most channels.
  static constexpr std::size_t kMaxSpare = 64;

  Channel(const ChannelSettings& settings, SocketSet& sockets, ReplyObserver& observer, Clock::time_point now) noexcept;

  bool initialise();
  void read_and_write(const SocketSet::Ready& ready) noexcept;
  static void on_socket_state(void* data, ares_socket_t fd, int readable, int writable) noexcept;
  static void on_answer(void* arg, int status, const unsigned char* message, int size) noexcept;

  const ChannelSettings settings_;
  SocketSet& sockets_;
  ReplyObserver& observer_;
  Clock::time_point opened_;
  std::size_t in_flight_ = 0;
  std::size_t abandoned_ = 0;  // of those in flight
  std::size_t sent_in_a_row_ = 0;
  Clock::time_point last_used_;
  Clock::time_point last_reply_;
  Clock::time_point reading_at_;
  Clock::time_point busy_since_;  // when something was in flight again
  bool is_retired_ = false;
  int unwritten_ = kNoSocket;  // the socket of the connection for which c-ares keeps questions
  std::vector<std::unique_ptr<Pending>> spare_;
  std::unique_ptr<Incoming> incoming_;
  AresChannel ares_;  // reads through `incoming_`, and so goes before it
};

}  // namespace caravan
