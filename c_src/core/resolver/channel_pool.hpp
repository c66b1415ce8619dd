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

// The open channels: made when they are first needed, closed when nobody has used them for a while. With them goes what
// c-ares 1.18 has learnt wrongly (one FORMERR turns EDNS off for a whole channel). Owned by one thread.
class ChannelPool {
 public:
  using TimePoint = Channel::Clock::time_point;

  // Questions that leave from one source port. The more answers a port waits for, the easier is one to forge (RFC 5452,
  // section 9.2); and as many replies of kMaxEdnsSize fit into a socket's receive buffer as Linux makes it
  // (net.core.rmem_default), where each takes up twice its size.
  static constexpr std::size_t kQueriesPerPort = 24;
  // Questions in flight to one endpoint. A question has a number of 16 bits: when all are taken, c-ares 1.34 looks for
  // a free one for ever, and 1.18 gives one twice.
  static constexpr std::size_t kMaxInFlight = 4096;

  ChannelPool(SocketSet& sockets, ReplyObserver& observer, TimePoint now) noexcept
      : sockets_{sockets}, observer_{observer}, tended_{now} {}

  struct Choice {
    Channel* channel = nullptr;  // valid until it is forsaken and get() or tend() is called
    // Without a channel: kOverload if there are as many as there may be, and one of them will have room.
    Error error = Error::kSystem;
  };

  // A channel that may take one more question; when there is none, why.
  Choice get(const ChannelSettings& settings, TimePoint now);

  // The reply to a question that was sent at `asked` has not come in time: no further question goes over the channel,
  // and the next one leaves from another source port, over another connection. A connection is kept if something has
  // come over it since, and for a second in any case. Returns false if nothing has changed.
  bool retire(const ChannelSettings& settings, const Channel* channel, TimePoint asked, TimePoint now);

  // A reply has come over the channel. A connection that was retired may be used again: it was slow, and those after it
  // would be as slow, and be retired before their first reply.
  void restore(const Channel& channel);

  // For how long a connection is kept when nothing is in flight. It may be that the network forgets it, or the
  // nameserver closes it, just when a question leaves.
  static constexpr std::chrono::seconds kConnectionIdleLimit{10};

  // Whether something has come back over this channel after that time.
  bool has_answered_after(TimePoint when, const ChannelSettings& settings, const Channel* channel) const;
  // Whether questions may go over it, once it has room.
  bool is_usable(const ChannelSettings& settings, const Channel* channel) const;

  // Writes what the connections keep: all questions of a turn of the loop at once.
  void flush(TimePoint now) noexcept;

  // Closes what is idle, and what nobody waits for; not more often than is of use.
  void tend(TimePoint now);

  // When tend() has something to do; nothing when it never has.
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
  static void close_forsaken(Group& group, bool tcp);

  SocketSet& sockets_;
  ReplyObserver& observer_;
  TimePoint tended_;
  using Groups = std::map<ChannelSettings, Group>;
  Groups groups_;
  Groups::value_type* last_ = nullptr;  // that was asked for; null: none that is there still
};

}  // namespace caravan
