#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "core/resolver/channel.hpp"
#include "core/resolver/socket_set.hpp"

namespace caravan {

// The open channels. A channel is opened when it is first needed, and closed when it has been idle for a while. That
// also drops what c-ares 1.18 has wrongly learned: one FORMERR turns EDNS off for a whole channel. One thread owns it.
class ChannelPool {
 public:
  using TimePoint = Channel::Clock::time_point;

  // The number of questions that leave from one source port. The more replies a port waits for, the easier one is to
  // forge (RFC 5452, section 9.2). This number of replies of kMaxEdnsSize also fits into a socket's receive buffer of
  // Linux' default size (net.core.rmem_default), in which each takes twice its size.
  static constexpr std::size_t kQueriesPerPort = 24;
  // The number of questions in flight to one endpoint. They must stay far below the 65,536 query IDs: when all are in
  // use, c-ares 1.34 searches for a free one endlessly, and 1.18 uses one twice.
  static constexpr std::size_t kMaxInFlight = 4096;

  ChannelPool(SocketSet& sockets, ReplyObserver& observer, TimePoint now) noexcept
      : sockets_{sockets}, observer_{observer}, tended_{now} {}

  struct Choice {
    Channel* channel = nullptr;  // valid until it is abandoned and get() or tend() is called
    // The reason if there is no channel. kOverload means that the endpoint has as many channels as it may have, and
    // that one of them will have room later.
    Error error = Error::kSystem;
  };

  // Returns a channel that can take one more question, or an error if no channel can.
  Choice get(const ChannelSettings& settings, TimePoint now);

  // Retires a channel, because the reply to a question sent at `asked` is late. No further question goes over a retired
  // channel, so the next one leaves from another source port, or over another connection. Keeps a connection that has
  // received something since `asked`, or that is less than a second old. Returns false if it has changed nothing.
  bool retire(const ChannelSettings& settings, const Channel* channel, TimePoint asked, TimePoint now);

  // Makes a retired connection usable again, because a reply has come over it. It is slow, not stale; a new connection
  // would be as slow, and be retired before its first reply.
  void restore(const Channel& channel);

  // How long an idle connection is kept. The longer, the likelier the network has dropped it, or the nameserver closes
  // it just as a question leaves.
  static constexpr std::chrono::seconds kConnectionIdleLimit{10};

  // Returns whether a reply has come over the channel after `when`. False if the channel is retired or gone.
  bool has_answered_after(TimePoint when, const ChannelSettings& settings, const Channel* channel) const;
  // Returns whether the channel is open and not retired.
  bool is_usable(const ChannelSettings& settings, const Channel* channel) const;

  // Writes the questions that connections hold back. Called when all questions of a turn of the loop are sent, so
  // that they leave together.
  void flush(TimePoint now) noexcept;

  // Closes idle channels and those for which no lookup waits, at most once in kTendInterval.
  void tend(TimePoint now);

  // Returns when tend() must be called next, or nullopt if there is no channel.
  std::optional<TimePoint> next_tend(TimePoint now) const;

 private:
  using Channels = std::vector<std::unique_ptr<Channel>>;
  struct Group {
    Channels usable;
    std::size_t current = 0;
    Channels retired;
  };

  const Channel* find_usable(const ChannelSettings& settings, const Channel* channel) const;
  static Channels::const_iterator find(const Channels& channels, const Channel* channel) noexcept;
  static bool is_full(const Channel& channel, bool tcp) noexcept;
  static void close_abandoned(Group& group, bool tcp);

  SocketSet& sockets_;
  ReplyObserver& observer_;
  TimePoint tended_;
  using Groups = std::map<ChannelSettings, Group>;
  Groups groups_;
  Groups::value_type* last_ = nullptr;  // the group that get() used last; null if it may be gone
};

}  // namespace caravan
