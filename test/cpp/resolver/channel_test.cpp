#include "core/resolver/channel.hpp"

#include <memory>
#include <vector>

#include "catch.hpp"
#include "support/handlers.hpp"
#include "support/lookup_client.hpp"
#include "support/reply_text.hpp"

namespace caravan {
namespace {

using Clock = Channel::Clock;

using test::Lines;
using test::MockDnsServer;
using Listen = MockDnsServer::Listen;

const Question kQuestion{"app.example", RecordType::kSrv};

// Stores what a channel reports.
class Replies final : public ReplyObserver {
 public:
  struct Item {
    QueryToken token;
    test::Bytes message;
    Error failure;
  };

  bool on_reply(const Channel& /*channel*/, QueryToken token, std::span<const std::uint8_t> message,
                Error failure) noexcept override {
    items.push_back({token, {message.begin(), message.end()}, failure});
    return true;
  }

  std::vector<Item> items;
};

struct Loop {
  std::unique_ptr<Channel> open(const MockDnsServer& server, bool tcp) {
    return Channel::open({server.nameserver(), tcp}, sockets, replies, Clock::now());
  }

  void run_until_replies(std::size_t count) {
    const auto give_up = Clock::now() + test::kHangGuard;
    while (replies.items.size() < count && Clock::now() < give_up) {
      for (const auto& ready : sockets.wait(std::chrono::milliseconds{100})) {
        ready.channel->process(ready, Clock::now());
      }
    }
    REQUIRE(replies.items.size() == count);
  }

  CaresLibrary cares;
  WakePipe wake;
  SocketSet sockets{wake.read_end()};
  Replies replies;
};

TEST_CASE("a reply is reported with the token of its question") {
  Loop loop;
  const bool tcp = GENERATE(false, true);
  MockDnsServer server{test::answer_with("n1.example")};
  const auto channel = loop.open(server, tcp);
  REQUIRE(channel);
  channel->send(kQuestion, {{1, 2}, 3, {4, tcp}, {}}, Clock::now());
  channel->send(kQuestion, {{5, 6}, 7, {8, tcp}, {}}, Clock::now());
  CHECK(channel->in_flight() == 2);
  loop.run_until_replies(2);
  CHECK(channel->in_flight() == 0);

  // In no particular order.
  CHECK(loop.replies.items[0].token.lookup.index + loop.replies.items[1].token.lookup.index == 6);
  const auto& first = loop.replies.items[loop.replies.items[0].token.lookup.index == 1 ? 0 : 1];
  CHECK(first.token.lookup.generation == 2);
  CHECK(first.token.candidate == 3);
  CHECK(first.token.attempt.server == 4);
  CHECK(first.token.attempt.tcp == tcp);
  CHECK(test::srv_lines(test::decode(first.message, kQuestion)) == Lines{"0 0 4370 n1.example 30"});
}

TEST_CASE("an error of the server is reported with its message and not retried") {
  Loop loop;
  const auto rcode = GENERATE(2U, 3U, 4U, 5U);
  MockDnsServer server{test::fail_with(rcode)};
  const auto channel = loop.open(server, false);
  channel->send(kQuestion, {}, Clock::now());
  loop.run_until_replies(1);
  CHECK_FALSE(loop.replies.items[0].message.empty());
  CHECK(server.queries().size() == 1);
}

TEST_CASE("a truncated reply is reported and not asked for again over TCP") {
  Loop loop;
  MockDnsServer server{test::truncate_over_udp("cut.example", test::answer_with("n1.example"))};
  const auto channel = loop.open(server, false);
  channel->send(kQuestion, {}, Clock::now());
  loop.run_until_replies(1);
  CHECK(test::decode(loop.replies.items[0].message, kQuestion).truncated);
  CHECK(server.transports() == Lines{"udp"});
}

TEST_CASE("a server that does not listen is reported without a message") {
  Loop loop;
  MockDnsServer nobody{test::say_nothing, Listen::kNothing};
  const auto channel = loop.open(nobody, GENERATE(false, true));
  channel->send(kQuestion, {}, Clock::now());
  loop.run_until_replies(1);
  CHECK(loop.replies.items[0].message.empty());
  CHECK(loop.replies.items[0].failure == Error::kConnrefused);
}

TEST_CASE("closing a channel reports every question that is still open") {
  Loop loop;
  MockDnsServer server{test::say_nothing};
  auto channel = loop.open(server, GENERATE(false, true));
  channel->send(kQuestion, {}, Clock::now());
  channel->send(kQuestion, {}, Clock::now());
  channel.reset();
  REQUIRE(loop.replies.items.size() == 2);
  CHECK(loop.replies.items[0].failure == Error::kClosed);
  // The set no longer watches its sockets.
  CHECK(loop.sockets.wait(std::chrono::milliseconds{0}).empty());
}

// The number of questions from one source port: c-ares closes its socket when nothing is in flight.
TEST_CASE("questions are counted until nothing is in flight") {
  Loop loop;
  MockDnsServer server{test::answer_with("n1.example")};
  const auto channel = loop.open(server, false);
  CHECK(channel->sent_in_a_row() == 0);
  channel->send(kQuestion, {}, Clock::now());
  channel->send(kQuestion, {}, Clock::now());
  CHECK(channel->sent_in_a_row() == 2);
  loop.run_until_replies(2);
  CHECK(channel->sent_in_a_row() == 0);
}

TEST_CASE("a channel knows when it was opened, last used and last received a reply") {
  Loop loop;
  MockDnsServer server{test::answer_with("n1.example")};
  const auto before = Clock::now();
  const auto channel = loop.open(server, false);
  CHECK(channel->opened() >= before);
  CHECK(channel->last_reply() < before);
  channel->send(kQuestion, {}, before);
  CHECK(channel->last_used() == before);
  loop.run_until_replies(1);
  CHECK(channel->last_reply() >= before);
}

// The reply of a server that has `records` instances on one host.
test::Bytes instances(std::uint16_t id, int records, const test::WireName& target) {
  test::DnsBuilder reply{kQuestion.name, kQuestion.type};
  for (int i = 0; i < records; ++i) {
    reply.srv(test::question_pointer(), 30, 0, 0, 4370, target);
  }
  reply.in(test::Section::kAdditional);
  // The target of the first record: behind header, question, and the record's owner, fields and numbers.
  const auto first_target = test::pointer(12 + 13 + 4 + 2 + 10 + 6);
  for (int i = 0; i < records; ++i) {
    reply.a(first_target, 30, "127.0.0.2");
  }
  return reply.id(id).build();
}

// From 1.22 on, c-ares reencodes a message without compression beyond 16 KiB, and 1.34.9 fails if the result would
// exceed 64 KiB. RFC 2782 forbids compressed targets, and 1.34.8 rejects a message with one. Over UDP, 1.18 truncates a
// message to the advertised size.
TEST_CASE("a reply is reported as it was received") {
  struct Case {
    bool tcp;
    int records;
    test::WireName target;
  };
  const test::WireName compressed{test::concat({test::label("n1"), test::pointer(16)})};
  const auto [tcp, records, target] = GENERATE_COPY(values<Case>({{true, 1000, "7f000002.addr.dc1.example"},
                                                                  {true, 1, compressed},
                                                                  {false, 200, compressed},
                                                                  {false, 1, compressed}}));
  Loop loop;
  MockDnsServer server{[records = records, target = target](auto& exchange) {
    exchange.reply(instances(exchange.query().id, records, target));
  }};
  const auto channel = loop.open(server, tcp);
  REQUIRE(channel);
  channel->send(kQuestion, {}, Clock::now());
  loop.run_until_replies(1);
  const auto& message = loop.replies.items[0].message;
  REQUIRE(message.size() > 2);
  CHECK(message == instances(static_cast<std::uint16_t>(message[0] << 8 | message[1]), records, target));
}

TEST_CASE("replies that come in one piece over TCP are all reported at once") {
  Loop loop;
  test::Bytes together;
  MockDnsServer server{[&together, count = 0](auto& exchange) mutable {
    const auto reply = instances(exchange.query().id, 10, "n1.example");
    together = test::concat({together, test::u16(reply.size()), reply});
    if (++count == 3) {
      exchange.write(together);
    }
  }};
  const auto channel = loop.open(server, true);
  REQUIRE(channel);
  for (int i = 0; i < 3; ++i) {
    channel->send(kQuestion, {}, Clock::now());
  }
  loop.run_until_replies(3);
  for (const auto& item : loop.replies.items) {
    CHECK(test::decode(item.message, kQuestion).srv.size() == 10);
  }
}

// That the connection breaks afterwards does not turn the message into a reply.
TEST_CASE("over TCP a message with another ID is no reply") {
  Loop loop;
  MockDnsServer server{[](auto& exchange) {
    const auto other = instances(static_cast<std::uint16_t>(exchange.query().id ^ 0x5555U), 2, "n2.example");
    exchange.write(test::concat({test::u16(other.size()), other, test::u16(0)}));
    exchange.close();
  }};
  const auto channel = loop.open(server, true);
  channel->send(kQuestion, {}, Clock::now());
  loop.run_until_replies(1);
  CHECK(loop.replies.items[0].message.empty());
}

}  // namespace
}  // namespace caravan
