#include "catch.hpp"
#include "core/resolver/resolver.hpp"
#include "support/handlers.hpp"
#include "support/lookup_client.hpp"
#include "support/reply_text.hpp"

// From TCP to UDP when TCP cannot be had, and from UDP to TCP when the answer is cut.
namespace caravan {
namespace {

using std::chrono::milliseconds;

using test::at;
using test::Lines;
using test::MockDnsServer;
using test::outcome;
using test::srv_lines;
using Exchange = MockDnsServer::Exchange;
using Listen = MockDnsServer::Listen;

const Question kQuestion{"app.example", RecordType::kSrv};

TEST_CASE("when TCP is refused the answer comes over UDP and does not claim to be complete") {
  test::LookupClient client;
  MockDnsServer server{test::answer_with("n1.example"), Listen::kUdp};
  const auto reply = client.ask(kQuestion, at(Transport::kTcpFirst, server));
  CHECK(srv_lines(reply) == Lines{"0 0 4370 n1.example 30"});
  CHECK_FALSE(reply.complete);
  CHECK(server.transports() == Lines{"udp"});
}

TEST_CASE("when TCP is accepted but silent the answer comes over UDP") {
  test::LookupClient client;
  MockDnsServer server{[](auto& exchange) {
    if (!exchange.query().tcp) {
      exchange.reply(srv_reply_to(exchange.query(), "n1.example"));
    }
  }};
  const auto reply = client.ask(kQuestion, at(Transport::kTcpFirst, milliseconds{2400}, server));
  CHECK(outcome(reply) == "ok");
  CHECK_FALSE(reply.complete);
  CHECK(server.transports() == Lines{"tcp", "tcp", "udp"});
}

TEST_CASE("when the connection is closed without an answer it comes over UDP") {
  test::LookupClient client;
  MockDnsServer server{[](auto& exchange) {
    if (exchange.query().tcp) {
      exchange.close();
    } else {
      exchange.reply(srv_reply_to(exchange.query(), "n1.example"));
    }
  }};
  const auto reply = client.ask(kQuestion, at(Transport::kTcpFirst, server));
  CHECK(outcome(reply) == "ok");
  CHECK_FALSE(reply.complete);
  CHECK(server.transports() == Lines{"tcp", "tcp", "udp"});
}

TEST_CASE("a connection that is closed once does not cost the complete answer") {
  test::LookupClient client;
  MockDnsServer server{[asked = 0](auto& exchange) mutable {
    if (++asked == 1) {
      exchange.close();
    } else {
      exchange.reply(srv_reply_to(exchange.query(), "n1.example"));
    }
  }};
  const auto reply = client.ask(kQuestion, at(Transport::kTcpFirst, server));
  CHECK(outcome(reply) == "ok");
  CHECK(reply.complete);
  CHECK(server.transports() == Lines{"tcp", "tcp"});
}

TEST_CASE("over TCP alone a server without TCP is no server") {
  test::LookupClient client;
  MockDnsServer server{test::answer_with("n1.example"), Listen::kUdp};
  CHECK(outcome(client.ask(kQuestion, at(Transport::kTcp, server))) == "connrefused");
  CHECK(server.queries().empty());
}

TEST_CASE("a truncated answer is fetched over TCP from the same server") {
  test::LookupClient client;
  MockDnsServer first{test::truncate_over_udp("cut.example", test::answer_with("n1.example"))};
  MockDnsServer second{test::answer_with("n2.example")};
  const auto reply = client.ask(kQuestion, at(Transport::kUdp, first, second));
  CHECK(srv_lines(reply) == Lines{"0 0 4370 n1.example 30"});
  CHECK(reply.complete);
  CHECK_FALSE(reply.truncated);
  CHECK(first.transports() == Lines{"udp", "tcp"});
  CHECK(second.queries().empty());
}

TEST_CASE("a truncated answer without any record is fetched over TCP too") {
  test::LookupClient client;
  MockDnsServer server{[](auto& exchange) {
    exchange.reply(exchange.query().tcp ? srv_reply_to(exchange.query(), "n1.example")
                                        : exchange.query().reply().truncated());
  }};
  const auto reply = client.ask(kQuestion, at(Transport::kUdp, server));
  CHECK(srv_lines(reply) == Lines{"0 0 4370 n1.example 30"});
  CHECK(reply.complete);
}

TEST_CASE("a truncated answer is better than none when TCP gives nothing") {
  test::LookupClient client;
  const auto over_tcp = GENERATE(
      as<MockDnsServer::Handler>{}, test::say_nothing, [](Exchange& exchange) { exchange.close(); },
      test::fail_with(2));
  MockDnsServer server{test::truncate_over_udp("cut.example", over_tcp)};
  const auto reply = client.ask(kQuestion, at(Transport::kUdp, milliseconds{1500}, server));
  CHECK(srv_lines(reply) == Lines{"0 0 4370 cut.example 30"});
  CHECK(reply.truncated);
  CHECK_FALSE(reply.complete);
}

TEST_CASE("a truncated answer is better than none when TCP is refused") {
  test::LookupClient client;
  const auto transport = GENERATE(Transport::kUdp, Transport::kTcpFirst);
  MockDnsServer server{test::truncate_over_udp("cut.example", test::say_nothing), Listen::kUdp};
  const auto reply = client.ask(kQuestion, at(transport, server));
  CHECK(srv_lines(reply) == Lines{"0 0 4370 cut.example 30"});
  CHECK(reply.truncated);
  CHECK_FALSE(reply.complete);
}

TEST_CASE("a truncated answer without records is no answer when TCP gives nothing") {
  test::LookupClient client;
  MockDnsServer server{[](auto& exchange) { exchange.reply(exchange.query().reply().truncated()); }, Listen::kUdp};
  CHECK(outcome(client.ask(kQuestion, at(Transport::kUdp, server))) == "connrefused");
}

TEST_CASE("what TCP says overrules the truncated answer") {
  test::LookupClient client;
  MockDnsServer server{test::truncate_over_udp("cut.example", test::fail_with(3))};
  CHECK(outcome(client.ask(kQuestion, at(Transport::kUdp, server))) == "nxdomain");
}

}  // namespace
}  // namespace caravan
