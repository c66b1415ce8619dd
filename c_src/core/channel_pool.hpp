#pragma once

#include <map>
#include <memory>
#include <optional>

#include "core/channel.hpp"
#include "core/socket_set.hpp"

namespace caravan {

// The open channels: made when they are first needed, closed when nobody has used them for a while. With them goes what
// c-ares 1.18 has learnt wrongly (one FORMERR turns EDNS off for a whole channel). Owned by one thread.
class ChannelPool {
 public:
  using TimePoint = Channel::Clock::time_point;

  ChannelPool(SocketSet& sockets, ReplyObserver& observer, TimePoint now) noexcept
      : sockets_{sockets}, observer_{observer}, tended_{now} {}

  // Null when c-ares gives no channel. Valid until tend().
  Channel* get(const Endpoint& endpoint);

  // Lets c-ares give up what it has waited for too long, and closes what is idle; not more often than is of use.
  void tend(TimePoint now);

  // When tend() has something to do; nothing when it never has.
  std::optional<TimePoint> next_tend(TimePoint now) const;

 private:
  SocketSet& sockets_;
  ReplyObserver& observer_;
  TimePoint tended_;
  std::map<Endpoint, std::unique_ptr<Channel>> channels_;
};

}  // namespace caravan
