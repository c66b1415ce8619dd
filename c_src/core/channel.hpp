#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "core/cares.hpp"
#include "core/dns_message.hpp"
#include "core/ip_address.hpp"
#include "core/socket_set.hpp"

namespace caravan {

// Names one attempt of one lookup; the reply to a lookup that has ended in the meantime finds nobody.
struct QueryToken {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  std::uint16_t candidate = 0;
  std::uint8_t server = 0;
  bool tcp = false;
};

// Takes the replies of all channels, inside c-ares' callback: it must not call c-ares.
class ReplyObserver {
 public:
  virtual ~ReplyObserver() = default;

  // `message` is empty when there is none; `failure` says why then.
  virtual void on_reply(QueryToken token, std::span<const std::uint8_t> message, Error failure) noexcept = 0;
};

struct Endpoint {
  Nameserver nameserver;
  bool tcp = false;

  auto operator<=>(const Endpoint&) const = default;
};

// A c-ares channel to one nameserver over one transport. Fail-over, retries and deadlines are ours, not c-ares': its
// defaults differ by a factor of seven between versions, 1.18 reports SERVFAIL as "connection refused", and it tells
// neither which nameserver answered nor over which transport. Owned by one thread.
class Channel {
 public:
  using Clock = std::chrono::steady_clock;

  // Nothing when c-ares gives no channel.
  static std::unique_ptr<Channel> open(const Endpoint& endpoint, SocketSet& sockets, ReplyObserver& observer);

  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel();

  // Sends the question, unless too many are in flight. The reply may be reported before this returns.
  bool send(const Question& question, QueryToken token, Clock::time_point now);

  void process(const SocketSet::Ready& ready) noexcept;

  // Lets c-ares give up what it has waited for too long.
  void expire(Clock::time_point now) noexcept;

  std::size_t in_flight() const noexcept { return in_flight_; }
  Clock::time_point last_used() const noexcept { return last_used_; }

 private:
  struct Pending;

  Channel(SocketSet& sockets, ReplyObserver& observer) noexcept : sockets_{sockets}, observer_{observer} {}

  bool initialise(const Endpoint& endpoint);
  static void on_socket_state(void* data, ares_socket_t fd, int readable, int writable) noexcept;
  static void on_answer(void* arg, int status, const unsigned char* message, int size) noexcept;

  SocketSet& sockets_;
  ReplyObserver& observer_;
  std::size_t in_flight_ = 0;
  Clock::time_point last_used_;
  Clock::time_point listening_since_;  // when c-ares was last let give up, or began to wait
  AresChannel ares_;
};

}  // namespace caravan
