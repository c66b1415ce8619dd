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

// Identifies an attempt of a lookup. A token may outlive its lookup; the reply is then dropped.
struct QueryToken {
  LookupRef lookup;
  std::uint16_t candidate = 0;
  Attempt attempt;
  std::chrono::steady_clock::time_point asked;
};

class Channel;

// Receives the replies of all channels. It is called within c-ares' callback, so it must not call c-ares.
class ReplyObserver {
 public:
  virtual ~ReplyObserver() = default;

  // `message` is empty if there was no reply, and `failure` is the reason: kSystem if the process has run out of
  // descriptors. Returns whether a lookup waited for the reply; false if Channel::abandon() was called for the
  // question.
  virtual bool on_reply(const Channel& channel, QueryToken token, std::span<const std::uint8_t> message,
                        Error failure) noexcept = 0;
};

// How a channel asks one endpoint.
struct ChannelSettings {
  Endpoint endpoint;
  std::uint16_t edns_size = kMaxEdnsSize;  // advertised over UDP; 0 sends no EDNS
  bool mixed_case = false;                 // over UDP only

  auto operator<=>(const ChannelSettings&) const = default;

  // Returns the size of the largest reply that the nameserver may send (RFC 1035, section 4.2; RFC 6891, section
  // 6.2.3).
  std::size_t largest_reply() const noexcept;
};

// A c-ares channel to one nameserver over one transport. Fail-over, retries and deadlines are not left to c-ares: its
// defaults differ by a factor of seven between versions, 1.18 reports SERVFAIL as "connection refused", and it reports
// neither which nameserver answered nor over which transport. One thread owns it.
class Channel {
 public:
  using Clock = std::chrono::steady_clock;

  // Returns null if c-ares cannot create a channel.
  static std::unique_ptr<Channel> open(const ChannelSettings& settings, SocketSet& sockets, ReplyObserver& observer,
                                       Clock::time_point now);

  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel();

  // Sends the question. May call the observer before it returns.
  void send(const Question& question, QueryToken token, Clock::time_point now);

  void process(const SocketSet::Ready& ready, Clock::time_point now) noexcept;

  // Writes the questions that c-ares holds back until poll(2) reports its connection as writable, which it nearly
  // always is.
  void flush(Clock::time_point now) noexcept;

  // Records that no lookup waits for the reply to one of the questions in flight any more. c-ares cannot cancel a
  // single question.
  void abandon() noexcept { ++abandoned_; }
  // Returns whether the pool sends no more questions over this channel.
  bool is_retired() const noexcept { return is_retired_; }
  void set_retired(bool retired) noexcept { is_retired_ = retired; }
  // Returns whether no lookup waits for a reply over this channel.
  bool is_abandoned() const noexcept { return abandoned_ == in_flight_; }

  const ChannelSettings& settings() const noexcept { return settings_; }
  std::size_t in_flight() const noexcept { return in_flight_; }
  // Returns the number of questions since the channel was last idle. They have all left from one source port, because
  // c-ares closes its socket when nothing is in flight.
  std::size_t sent_in_a_row() const noexcept { return sent_in_a_row_; }
  Clock::time_point opened() const noexcept { return opened_; }
  Clock::time_point last_used() const noexcept { return last_used_; }
  Clock::time_point last_reply() const noexcept { return last_reply_; }
  // Returns whether the channel has answered before, but not since it was last idle. A NAT or firewall on the path may
  // have dropped the connection meanwhile.
  bool may_be_stale() const noexcept { return last_reply_ != Clock::time_point{} && last_reply_ < busy_since_; }

 private:
  struct Pending;
  static constexpr int kNoSocket = -1;
  // Most channels never have more in flight.
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
  std::size_t abandoned_ = 0;  // the questions in flight that no lookup waits for
  std::size_t sent_in_a_row_ = 0;
  Clock::time_point last_used_;
  Clock::time_point last_reply_;
  Clock::time_point reading_at_;
  Clock::time_point busy_since_;  // when the channel was last sent a question while idle
  bool is_retired_ = false;
  int unwritten_ = kNoSocket;  // the socket of the connection for which c-ares holds questions back
  std::vector<std::unique_ptr<Pending>> spare_;
  std::unique_ptr<Incoming> incoming_;
  AresChannel ares_;  // destroyed before `incoming_`, through which it reads
};

}  // namespace caravan
