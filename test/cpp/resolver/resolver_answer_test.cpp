#include <chrono>
#include <cstdint>
#include <future>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "catch.hpp"
#include "core/resolver/channel_pool.hpp"
#include "core/resolver/resolver.hpp"
#include "support/handlers.hpp"
#include "support/lookup_client.hpp"
#include "support/reply_text.hpp"

// Answers of a nameserver that replies at once.
namespace caravan {
namespace {

using test::address_lines;
using test::at;
using test::Bytes;
using test::Lines;
using test::MockDnsServer;
using test::outcome;
using test::srv_lines;

const Question kQuestion{"app.example", RecordType::kSrv};

TEST_CASE("an answer over TCP is complete and one over UDP may not be") {
  test::LookupClient client;
  MockDnsServer server{test::answer_with("n1.example")};

  const auto over_udp = client.ask(kQuestion, at(Transport::kUdp, server));
  CHECK(srv_lines(over_udp) == Lines{"0 0 4370 n1.example 30"});
  CHECK_FALSE(over_udp.complete);

  const auto over_tcp = client.ask(kQuestion, at(Transport::kTcp, server));
  CHECK(srv_lines(over_tcp) == Lines{"0 0 4370 n1.example 30"});
  CHECK(over_tcp.complete);

  const auto tcp_first = client.ask(kQuestion, at(Transport::kTcpFirst, server));
  CHECK(srv_lines(tcp_first) == Lines{"0 0 4370 n1.example 30"});
  CHECK(tcp_first.complete);

  CHECK(server.transports() == Lines{"udp", "tcp", "tcp"});
}

TEST_CASE("a server asked for more than fits into a datagram gives all of it over TCP") {
  // Like Consul, which sends the records that fit over UDP and does not set TC.
  test::LookupClient client;
  constexpr int kInstances = 1500;
  MockDnsServer server{[](auto& exchange) {
    auto reply = exchange.query().reply();
    for (int i = 0; i < (exchange.query().tcp ? kInstances : 3); ++i) {
      reply.srv(test::question_pointer(), 30, 1, 1, 4370, "n" + std::to_string(i) + ".node.dc1.consul");
    }
    exchange.reply(reply);
  }};
  const auto over_udp = client.ask(kQuestion, at(Transport::kUdp, server));
  CHECK(over_udp.srv.size() == 3);
  CHECK_FALSE(over_udp.truncated);
  CHECK_FALSE(over_udp.complete);

  const auto tcp_first = client.ask(kQuestion, at(Transport::kTcpFirst, server));
  CHECK(tcp_first.srv.size() == kInstances);
  CHECK(tcp_first.complete);
}

TEST_CASE("addresses are looked up for either family") {
  test::LookupClient client;
  MockDnsServer server{[](auto& exchange) {
    const auto& query = exchange.query();
    exchange.reply(query.type == RecordType::kA ? query.reply().a(query.name, 30, "10.0.0.1")
                                                : query.reply().aaaa(query.name, 30, "2001:db8::1"));
  }};
  CHECK(address_lines(client.ask({"n1.example", RecordType::kA}, at(Transport::kUdp, server))) == Lines{"10.0.0.1 30"});
  CHECK(address_lines(client.ask({"n1.example", RecordType::kAaaa}, at(Transport::kUdp, server))) ==
        Lines{"2001:db8::1 30"});
}

TEST_CASE("NXDOMAIN and NODATA are answers after one question") {
  test::LookupClient client;
  const auto rcode = GENERATE(0U, 3U);
  MockDnsServer server{[rcode](auto& exchange) {
    exchange.reply(exchange.query().reply().rcode(rcode).in(test::Section::kAuthority).soa("example", 300, 60));
  }};
  const auto reply = client.ask(kQuestion, at(Transport::kUdp, server));
  CHECK(outcome(reply) == (rcode == 3 ? "nxdomain" : "nodata"));
  CHECK(reply.ttl == 60U);
  CHECK(server.queries().size() == 1);
}

TEST_CASE("a trailing dot is not sent") {
  test::LookupClient client;
  MockDnsServer server{test::answer_with("n1.example")};
  CHECK(outcome(client.ask({"app.example.", RecordType::kSrv}, at(Transport::kUdp, server))) == "ok");
  CHECK(server.queries().at(0).name == "app.example");
}

TEST_CASE("invalid names are refused at once and cause no question") {
  test::LookupClient client;
  MockDnsServer server{test::answer_with("n1.example")};
  const std::vector<std::string> bad{"", ".", "a..b", "a b", "a@b", ".a", std::string(254, 'a')};
  for (const auto& name : bad) {
    CAPTURE(name);
    CHECK(client.submit({name, RecordType::kSrv}, at(Transport::kUdp, server),
                        std::make_unique<test::PromiseReceiver>(std::promise<test::Answer>{})) == Error::kBadname);
  }
  CHECK(client.stats().failed(Error::kBadname) == bad.size());
  client.settle();
  CHECK(server.queries().empty());
}

TEST_CASE("a question over UDP advertises how large the reply may be") {
  test::LookupClient client;
  MockDnsServer server{test::answer_with("n1.example")};
  client.ask(kQuestion, at(Transport::kUdp, server));
  CHECK(server.queries().at(0).edns_size == kMaxEdnsSize);
}

TEST_CASE("an answer as large as promised fits") {
  test::LookupClient client;
  MockDnsServer server{[](auto& exchange) {
    auto reply = exchange.query().reply();
    while (reply.position() + 31 <= kMaxEdnsSize) {
      reply.srv(test::question_pointer(), 30, 0, 0, 4370, "n1.example");
    }
    exchange.reply(reply);
  }};
  const auto reply = client.ask(kQuestion, at(Transport::kUdp, server));
  REQUIRE(outcome(reply) == "ok");
  CHECK(reply.srv.size() > 130);
}

TEST_CASE("questions come from different ports") {
  test::LookupClient client;
  MockDnsServer server{test::answer_with("n1.example")};
  for (int i = 0; i < 8; ++i) {
    client.ask(kQuestion, at(Transport::kUdp, server));
  }
  std::set<std::uint16_t> ports;
  std::set<std::uint16_t> ids;
  for (const auto& query : server.queries()) {
    ports.insert(query.client_port);
    ids.insert(query.id);
  }
  CHECK(ports.size() > 1);
  CHECK(ids.size() > 1);
}

TEST_CASE("few questions in flight come from the same port") {
  constexpr int kLookups = 100;
  test::LookupClient client;
  test::Gate all_asked;
  MockDnsServer server{[&, asked = 0](auto&) mutable {
    if (++asked == kLookups) {
      all_asked.open();
    }
  }};
  std::vector<std::future<test::Answer>> answers;
  for (int i = 0; i < kLookups; ++i) {
    answers.push_back(client.start({"app" + std::to_string(i) + ".example", RecordType::kSrv},
                                   at(Transport::kUdp, std::chrono::minutes{10}, server)));
  }
  all_asked.pass();
  std::map<std::uint16_t, std::size_t> questions_of;
  for (const auto& query : server.queries()) {
    CHECK(++questions_of[query.client_port] <= ChannelPool::kQueriesPerPort);
  }
}

TEST_CASE("a nameserver may have an IPv6 address") {
  test::LookupClient client;
  std::optional<MockDnsServer> server;
  try {
    server.emplace(test::answer_with("n1.example"), MockDnsServer::Listen::kUdpAndTcp, "::1");
  } catch (const std::system_error& error) {
    WARN("this machine has no IPv6: " << error.what());
    return;
  }
  CHECK(outcome(client.ask(kQuestion, at(Transport::kUdp, *server))) == "ok");
  CHECK(outcome(client.ask(kQuestion, at(Transport::kTcp, *server))) == "ok");
}

TEST_CASE("an answer over TCP may come in pieces") {
  test::LookupClient client;
  test::Gate first_answered;
  Bytes second_half;
  // Two questions over one connection. The first answer is sent together with half of the second one, and the other
  // half once the first one was delivered, so the resolver must have read them separately.
  MockDnsServer server{[&, held = std::optional<Bytes>{}](auto& exchange) mutable {
    const auto message = srv_reply_to(exchange.query(), "n1.example").build();
    const auto framed = test::concat({test::u16(message.size()), message});
    if (!held) {
      held = framed;
      return;
    }
    const auto half = static_cast<std::ptrdiff_t>(framed.size() / 2);
    exchange.write(test::concat({*held, {framed.begin(), framed.begin() + half}}));
    first_answered.pass();
    exchange.write({framed.begin() + half, framed.end()});
  }};
  auto first = client.start({"first.example", RecordType::kSrv}, at(Transport::kTcp, std::chrono::minutes{1}, server));
  auto second =
      client.start({"second.example", RecordType::kSrv}, at(Transport::kTcp, std::chrono::minutes{1}, server));
  CHECK(outcome(test::await(std::move(first)).value()) == "ok");
  first_answered.open();
  CHECK(outcome(test::await(std::move(second)).value()) == "ok");
}

}  // namespace
}  // namespace caravan
