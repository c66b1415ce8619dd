#include <chrono>
#include <set>
#include <string>
#include <vector>

#include "catch.hpp"
#include "core/resolver/channel_pool.hpp"
#include "support/handlers.hpp"
#include "support/lookup_client.hpp"

// When a question goes over another channel than the last one.
namespace caravan {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

using test::MockDnsServer;
using TimePoint = ChannelPool::TimePoint;
constexpr auto kPerPort = ChannelPool::kQueriesPerPort;

const Question kQuestion{"app.example", RecordType::kSrv};

class CountReplies final : public ReplyObserver {
 public:
  bool on_reply(const Channel& /*channel*/, QueryToken /*token*/, std::span<const std::uint8_t> message,
                Error failure) noexcept override {
    answers += message.empty() ? 0U : 1U;
    closed += failure == Error::kClosed ? 1U : 0U;
    return !are_abandoned;
  }

  std::size_t answers = 0;
  std::size_t closed = 0;
  bool are_abandoned = false;
};

struct Pool {
  explicit Pool(const MockDnsServer& server) : nameserver{server.nameserver()} {}

  ChannelSettings settings(bool tcp) const { return {{nameserver, tcp}}; }
  Channel* get(bool tcp = false) { return channels.get(settings(tcp), start).channel; }
  Channel* ask(bool tcp = false) {
    auto* channel = get(tcp);
    REQUIRE(channel != nullptr);
    channel->send(kQuestion, {}, start);
    return channel;
  }
  bool retire(const Channel* channel, TimePoint asked, TimePoint now, bool tcp = false) {
    return channels.retire(settings(tcp), channel, asked, now);
  }
  void read_answers(std::size_t count) {
    const auto give_up = std::chrono::steady_clock::now() + test::kHangGuard;
    while (replies.answers < count && std::chrono::steady_clock::now() < give_up) {
      for (const auto& ready : sockets.wait(milliseconds{100})) {
        ready.channel->process(ready, answered_at);
      }
    }
    REQUIRE(replies.answers == count);
  }

  // The pool has no clock; its owner passes the time.
  TimePoint start{std::chrono::hours{1}};
  TimePoint answered_at = start + milliseconds{10};

  Nameserver nameserver;
  CaresLibrary cares;
  WakePipe wake;
  SocketSet sockets{wake.read_end()};
  CountReplies replies;
  ChannelPool channels{sockets, replies, start};
};

TEST_CASE("a limited number of questions in flight leaves from one port") {
  MockDnsServer silent{test::say_nothing};
  Pool pool{silent};
  auto* first = pool.ask();
  for (std::size_t i = 1; i < kPerPort; ++i) {
    REQUIRE(pool.ask() == first);
  }
  auto* second = pool.ask();
  CHECK(second != first);
  CHECK(pool.get() == second);
}

TEST_CASE("a port that has reached its limit takes no more questions while one is in flight") {
  // Otherwise a channel that is always busy would never be replaced.
  MockDnsServer server{[asked = std::size_t{0}](auto& exchange) mutable {
    if (++asked < kPerPort) {
      exchange.reply(srv_reply_to(exchange.query(), "n1.example"));
    }
  }};
  Pool pool{server};
  auto* first = pool.ask();
  for (std::size_t i = 1; i < kPerPort; ++i) {
    pool.ask();
  }
  pool.read_answers(kPerPort - 1);
  REQUIRE(first->in_flight() == 1);
  CHECK(pool.get() != first);
}

TEST_CASE("a channel whose questions are all answered sends the next one from another port") {
  MockDnsServer server{test::answer_with("n1.example")};
  Pool pool{server};
  auto* first = pool.ask();
  for (std::size_t i = 1; i < kPerPort; ++i) {
    pool.ask();
  }
  pool.read_answers(kPerPort);
  CHECK(pool.ask() == first);
  pool.read_answers(kPerPort + 1);
  std::set<std::uint16_t> ports;
  for (const auto& query : server.queries()) {
    ports.insert(query.client_port);
  }
  CHECK(ports.size() == 2);
}

TEST_CASE("over TCP the port stays the same") {
  MockDnsServer silent{test::say_nothing};
  Pool pool{silent};
  auto* first = pool.ask(true);
  for (std::size_t i = 0; i < 4 * kPerPort; ++i) {
    REQUIRE(pool.ask(true) == first);
  }
}

TEST_CASE("an endpoint has a limit of questions, which does not affect others") {
  const bool tcp = GENERATE(false, true);
  MockDnsServer silent{test::say_nothing};
  Pool pool{silent};
  // Over UDP, the limit is a multiple of kQueriesPerPort.
  const auto limit = tcp ? ChannelPool::kMaxInFlight : ChannelPool::kMaxInFlight / kPerPort * kPerPort;
  for (std::size_t i = 0; i < limit; ++i) {
    pool.ask(tcp);
  }
  const auto choice = pool.channels.get(pool.settings(tcp), pool.start);
  CHECK(choice.channel == nullptr);
  CHECK(choice.error == Error::kOverload);
  CHECK(pool.get(!tcp) != nullptr);
}

TEST_CASE("a channel without a reply is retired once") {
  MockDnsServer silent{test::say_nothing};
  Pool pool{silent};
  auto* first = pool.ask();
  CHECK(pool.retire(first, pool.start, pool.start + seconds{1}));
  CHECK_FALSE(pool.retire(first, pool.start, pool.start + seconds{2}));
  CHECK(pool.ask() != first);
}

TEST_CASE("a channel that has lost a reply takes no further question over UDP") {
  MockDnsServer server{test::answer_with("n1.example")};
  Pool pool{server};
  auto* first = pool.ask();
  pool.read_answers(1);
  CHECK(pool.retire(first, pool.start, pool.start + milliseconds{1}));
  CHECK(pool.get() != first);
}

TEST_CASE("a new connection is not retired") {
  MockDnsServer silent{test::say_nothing};
  Pool pool{silent};
  auto* first = pool.ask(true);
  CHECK_FALSE(pool.retire(first, pool.start, pool.start + milliseconds{999}, true));
  CHECK(pool.get(true) == first);
  CHECK(pool.retire(first, pool.start, pool.start + milliseconds{1000}, true));
}

TEST_CASE("a connection that has received something since is not retired") {
  MockDnsServer server{test::answer_with("n1.example")};
  Pool pool{server};
  auto* first = pool.ask(true);
  pool.read_answers(1);
  CHECK_FALSE(pool.retire(first, pool.start, pool.start + seconds{10}, true));
  CHECK_FALSE(pool.retire(first, pool.answered_at, pool.start + seconds{10}, true));
  CHECK(pool.get(true) == first);
  // This does not apply to a question that was asked later.
  CHECK(pool.retire(first, pool.answered_at + milliseconds{1}, pool.start + seconds{10}, true));
}

TEST_CASE("only the silent channel is retired") {
  MockDnsServer silent{test::say_nothing};
  Pool pool{silent};
  auto* first = pool.ask();
  for (std::size_t i = 1; i < kPerPort; ++i) {
    pool.ask();
  }
  auto* second = pool.ask();
  auto* tcp = pool.ask(true);
  CHECK(pool.retire(first, pool.start, pool.start + seconds{1}));
  CHECK(pool.get() == second);
  CHECK(pool.get(true) == tcp);
}

TEST_CASE("retiring without a channel does nothing") {
  MockDnsServer silent{test::say_nothing};
  Pool pool{silent};
  CHECK_FALSE(pool.retire(nullptr, pool.start, pool.start + seconds{10}));
  auto* first = pool.ask();
  CHECK_FALSE(pool.channels.retire(pool.settings(true), first, pool.start, pool.start + seconds{10}));
  CHECK_FALSE(pool.retire(nullptr, pool.start, pool.start + seconds{10}));
}

TEST_CASE("a late answer over a retired channel still counts") {
  test::Gate given_up;
  MockDnsServer server{test::answer_after(given_up, "n1.example")};
  Pool pool{server};
  auto* first = pool.ask();
  CHECK(pool.retire(first, pool.start, pool.start + seconds{1}));
  given_up.open();
  pool.read_answers(1);
  // Then it is closed.
  CHECK(pool.channels.next_tend(pool.start));
  pool.channels.tend(pool.start + seconds{1});
  CHECK_FALSE(pool.channels.next_tend(pool.start));
}

TEST_CASE("retired channels count towards the limit while a question is in flight") {
  MockDnsServer silent{test::say_nothing};
  Pool pool{silent};
  auto now = pool.start;
  std::size_t given_up = 0;
  while (auto* channel = pool.channels.get(pool.settings(false), now).channel) {
    channel->send(kQuestion, {}, now);
    REQUIRE(pool.retire(channel, now, now + seconds{1}));
    now += seconds{1};
    ++given_up;
  }
  CHECK(given_up == ChannelPool::kMaxInFlight / kPerPort);
  CHECK(pool.channels.get(pool.settings(false), now).error == Error::kOverload);
}

// Otherwise each lost reply would keep a channel open for as long as c-ares waits for it.
TEST_CASE("a retired channel is closed when no lookup waits for its questions") {
  MockDnsServer silent{test::say_nothing};
  Pool pool{silent};
  auto* retired = pool.ask();
  retired->send(kQuestion, {}, pool.start);
  REQUIRE(pool.retire(retired, pool.start, pool.start + seconds{1}));
  auto* full = pool.ask();
  for (std::size_t i = 1; i < kPerPort; ++i) {
    pool.ask();
  }
  auto* usable = pool.ask();
  pool.replies.are_abandoned = true;

  retired->abandon();
  pool.channels.tend(pool.start + seconds{1});
  CHECK(pool.replies.closed == 0);
  retired->abandon();
  for (std::size_t i = 0; i < kPerPort; ++i) {
    full->abandon();
  }
  usable->abandon();
  pool.channels.tend(pool.start + seconds{2});
  CHECK(pool.replies.closed == 2 + kPerPort);
  // A channel with room still takes others.
  CHECK(pool.get() == usable);
}

}  // namespace
}  // namespace caravan
