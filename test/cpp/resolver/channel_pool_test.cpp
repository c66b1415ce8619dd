#include "core/resolver/channel_pool.hpp"

#include <vector>

#include "catch.hpp"
#include "support/handlers.hpp"

namespace caravan {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

using test::MockDnsServer;
using TimePoint = ChannelPool::TimePoint;

const Question kQuestion{"app.example", RecordType::kSrv};

class NoReplies final : public ReplyObserver {
 public:
  bool on_reply(const Channel& /*channel*/, QueryToken /*token*/, std::span<const std::uint8_t> /*message*/,
                Error /*failure*/) noexcept override {
    return true;
  }
};

ChannelSettings settings(std::uint16_t port, bool tcp = false) {
  return {{{*parse_ip_address("127.0.0.1"), port}, tcp}};
}

struct Pool {
  Channel* get(const ChannelSettings& settings) { return channels.get(settings, start).channel; }

  // The pool has no clock; its owner passes the time.
  TimePoint start{std::chrono::hours{1}};

  CaresLibrary cares;
  WakePipe wake;
  SocketSet sockets{wake.read_end()};
  NoReplies replies;
  ChannelPool channels{sockets, replies, start};
};

TEST_CASE("a nameserver has one channel per transport") {
  Pool pool;
  auto* udp = pool.get(settings(53));
  REQUIRE(udp != nullptr);
  CHECK(pool.get(settings(53)) == udp);
  CHECK(pool.get(settings(53, true)) != udp);
  CHECK(pool.get(settings(54)) != udp);
}

TEST_CASE("an empty pool needs no tending") {
  Pool pool;
  CHECK_FALSE(pool.channels.next_tend(pool.start));
}

TEST_CASE("a channel that nobody has used for half a minute is closed") {
  Pool pool;
  pool.get(settings(53));
  CHECK(pool.channels.next_tend(pool.start) == pool.start + seconds{30});
  pool.channels.tend(pool.start + seconds{30});
  CHECK(pool.channels.next_tend(pool.start));
  pool.channels.tend(pool.start + seconds{31});
  CHECK_FALSE(pool.channels.next_tend(pool.start));
}

TEST_CASE("a channel with a question in flight is kept and looked at often") {
  Pool pool;
  MockDnsServer silent{test::say_nothing};
  auto* channel = pool.get({silent.nameserver(), false});
  channel->send(kQuestion, {}, pool.start);
  CHECK(pool.channels.next_tend(pool.start) == pool.start + milliseconds{500});
  // For c-ares, which uses the real time, no time has passed.
  pool.channels.tend(pool.start + seconds{100});
  CHECK(pool.get({silent.nameserver(), false}) == channel);
  CHECK(channel->in_flight() == 1);
}

TEST_CASE("of many channels the idle ones are closed at once") {
  Pool pool;
  for (std::uint16_t port = 1; port <= 65; ++port) {
    pool.get(settings(port));
  }
  pool.channels.tend(pool.start + seconds{1});
  CHECK_FALSE(pool.channels.next_tend(pool.start));
}

TEST_CASE("a pool that was tended a moment ago is left alone") {
  Pool pool;
  pool.channels.tend(pool.start + seconds{40});
  pool.get(settings(53));
  pool.channels.tend(pool.start + seconds{40} + milliseconds{499});
  CHECK(pool.channels.next_tend(pool.start));
  pool.channels.tend(pool.start + seconds{40} + milliseconds{500});
  CHECK_FALSE(pool.channels.next_tend(pool.start));
}

}  // namespace
}  // namespace caravan
