#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/channel.hpp"
#include "core/channel_pool.hpp"
#include "core/lookup_table.hpp"
#include "core/resolver.hpp"
#include "core/socket_set.hpp"
#include "core/system_config.hpp"

namespace caravan {

// The resolver's thread: takes requests, asks nameservers through c-ares, hands out answers. Everything in it is owned
// by that thread. Memory that cannot be had ends the process, as it does everywhere in the VM.
class Worker final : ReplyObserver {
 public:
  using Clock = std::chrono::steady_clock;

  Worker(Resolver& resolver, WakePipe& wake);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker() override = default;

  // Returns when the resolver stops.
  void run() noexcept;

 private:
  struct Completion {
    QueryToken token;
    Reply reply;
  };
  struct Waiting {
    std::uint32_t slot;
    std::uint32_t generation;
  };

  // The lookups that begin with the same nameserver: those at a dead one keep no others from being asked.
  struct Lane {
    std::size_t active = 0;
    std::deque<Waiting> waiting;
  };

  void on_reply(QueryToken token, std::span<const std::uint8_t> message, Error failure) noexcept override;

  void accept(LookupRequest& request);
  void use_system_config(Lookup& lookup);
  void admit();
  void admit(Lane& lane);
  void begin(Lookup& lookup);
  void ask_candidate(Lookup& lookup);
  void attempt_next(Lookup& lookup);
  std::optional<Error> send(Lookup& lookup, Attempt attempt);
  void settle();
  void complete(Completion& completion);
  void candidate_failed(Lookup& lookup, Error error);
  void candidate_is_negative(Lookup& lookup, Reply reply);
  void next_candidate(Lookup& lookup);
  void fire_timers();
  void finish(Lookup& lookup, const Reply& reply);
  void finish_all(Error error);

  std::optional<std::chrono::milliseconds> time_to_wait() const;

  Resolver& resolver_;
  WakePipe& wake_;
  Clock::time_point now_;
  LookupTable lookups_;
  std::map<Nameserver, Lane> lanes_;
  std::size_t ended_ = 0;  // since the last exchange with the resolver
  std::vector<Completion> completions_;
  SystemConfigCache system_;
  SocketSet sockets_;
  // After everything that a callback of c-ares touches: closing a channel calls back.
  ChannelPool channels_;
};

}  // namespace caravan
