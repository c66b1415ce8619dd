#include <string>
#include <vector>

#include "catch.hpp"
#include "core/resolver/resolver.hpp"
#include "support/handlers.hpp"
#include "support/lookup_client.hpp"
#include "support/reply_text.hpp"

// Servers that fail, are silent or refuse, and others that answer instead.
namespace caravan {
namespace {

using std::chrono::milliseconds;

using test::at;
using test::Lines;
using test::MockDnsServer;
using test::outcome;
using test::srv_lines;
using Listen = MockDnsServer::Listen;

const Question kQuestion{"app.example", RecordType::kSrv};

struct Failure {
  unsigned rcode;
  std::string name;
};

Failure any_failure() {
  return GENERATE(values<Failure>({{1, "formerr"}, {2, "servfail"}, {4, "notimp"}, {5, "refused"}}));
}

TEST_CASE("the error of a server keeps its meaning") {
  test::LookupClient client;
  const auto [rcode, name] = any_failure();
  const auto transport = GENERATE(Transport::kUdp, Transport::kTcp, Transport::kTcpFirst);
  MockDnsServer server{test::fail_with(rcode)};
  CHECK(outcome(client.ask(kQuestion, at(transport, server))) == name);
}

TEST_CASE("a server that said why it will not answer is asked once") {
  test::LookupClient client;
  const auto rcode = GENERATE(2U, 4U, 5U);
  MockDnsServer server{test::fail_with(rcode)};
  client.ask(kQuestion, at(Transport::kTcpFirst, server));
  CHECK(server.queries().size() == 1);
}

TEST_CASE("when the first server fails the second one answers") {
  test::LookupClient client;
  const auto [rcode, name] = any_failure();
  const auto transport = GENERATE(Transport::kUdp, Transport::kTcp, Transport::kTcpFirst);
  CAPTURE(name);
  MockDnsServer first{test::fail_with(rcode)};
  MockDnsServer second{test::answer_with("n2.example")};
  const auto reply = client.ask(kQuestion, at(transport, first, second));
  CHECK(srv_lines(reply) == Lines{"0 0 4370 n2.example 30"});
  CHECK(reply.complete == (transport != Transport::kUdp));
}

TEST_CASE("when the first server fails, the second one may give a negative answer") {
  test::LookupClient client;
  MockDnsServer first{test::fail_with(2)};
  MockDnsServer second{test::fail_with(3)};
  CHECK(outcome(client.ask(kQuestion, at(Transport::kUdp, first, second))) == "nxdomain");
}

TEST_CASE("a negative answer of the first server is final") {
  test::LookupClient client;
  MockDnsServer first{test::fail_with(3)};
  MockDnsServer second{test::answer_with("n2.example")};
  CHECK(outcome(client.ask(kQuestion, at(Transport::kUdp, first, second))) == "nxdomain");
  CHECK(second.queries().empty());
}

TEST_CASE("when the first server is silent the second one answers") {
  test::LookupClient client;
  const auto transport = GENERATE(Transport::kUdp, Transport::kTcp);
  MockDnsServer first{test::say_nothing};
  MockDnsServer second{test::answer_with("n2.example")};
  CHECK(srv_lines(client.ask(kQuestion, at(transport, first, second))) == Lines{"0 0 4370 n2.example 30"});
}

TEST_CASE("when the first server refuses, the second one answers") {
  test::LookupClient client;
  const auto transport = GENERATE(Transport::kUdp, Transport::kTcp, Transport::kTcpFirst);
  MockDnsServer first{test::say_nothing, Listen::kNothing};
  MockDnsServer second{test::answer_with("n2.example")};
  CHECK(srv_lines(client.ask(kQuestion, at(transport, first, second))) == Lines{"0 0 4370 n2.example 30"});
}

TEST_CASE("a late answer of the first server counts") {
  test::LookupClient client;
  test::Gate second_asked;
  MockDnsServer first{[&](auto& exchange) {
    second_asked.pass();
    exchange.reply(srv_reply_to(exchange.query(), "n1.example"));
  }};
  MockDnsServer second{[&, asked = 0](auto&) mutable {
    if (++asked == 1) {
      second_asked.open();
    }
  }};
  const auto reply = client.ask(kQuestion, at(Transport::kUdp, first, second));
  CHECK(srv_lines(reply) == Lines{"0 0 4370 n1.example 30"});
}

TEST_CASE("a lookup is refused if no server listens") {
  test::LookupClient client;
  const auto transport = GENERATE(Transport::kUdp, Transport::kTcp, Transport::kTcpFirst);
  MockDnsServer nobody{test::say_nothing, Listen::kNothing};
  CHECK(outcome(client.ask(kQuestion, at(transport, nobody))) == "connrefused");
}

TEST_CASE("without any nameserver the lookup is refused") {
  test::LookupClient client;
  CHECK(outcome(client.ask(kQuestion, at(Transport::kUdp))) == "connrefused");
}

TEST_CASE("silence ends with the timeout of the lookup") {
  test::LookupClient client;
  const auto transport = GENERATE(Transport::kUdp, Transport::kTcp, Transport::kTcpFirst);
  // The shortest one ends before any attempt does.
  const auto timeout = GENERATE(milliseconds{1}, milliseconds{20}, milliseconds{200});
  MockDnsServer server{test::say_nothing};
  CHECK(outcome(client.ask(kQuestion, at(transport, timeout, server))) == "timeout");
}

TEST_CASE("a silent server is asked again before the lookup times out") {
  test::LookupClient client;
  MockDnsServer server{[asked = 0](auto& exchange) mutable {
    if (++asked == 3) {
      exchange.reply(srv_reply_to(exchange.query(), "n1.example"));
    }
  }};
  CHECK(outcome(client.ask(kQuestion, at(Transport::kUdp, milliseconds{1800}, server))) == "ok");
  CHECK(server.queries().size() == 3);
}

TEST_CASE("an error of one server takes precedence over the silence or refusal of another") {
  test::LookupClient client;
  const auto other = GENERATE(Listen::kUdpAndTcp, Listen::kNothing);
  MockDnsServer first{test::say_nothing, other};
  MockDnsServer second{test::fail_with(5)};
  CHECK(outcome(client.ask(kQuestion, at(Transport::kUdp, milliseconds{900}, first, second))) == "refused");
}

// The first lookup finds out that the nameserver is silent.
TEST_CASE("a nameserver that has been silent is asked after those that answer") {
  const auto transport = GENERATE(Transport::kUdp, Transport::kTcp, Transport::kTcpFirst);
  test::LookupClient client;
  std::atomic<bool> is_back{false};
  MockDnsServer silent{[&](auto& exchange) {
    if (is_back) {
      exchange.reply(srv_reply_to(exchange.query(), "n1.example"));
    }
  }};
  MockDnsServer other{test::answer_with("n2.example")};
  const auto lookup = at(transport, silent, other);
  CHECK(srv_lines(client.ask(kQuestion, lookup)) == Lines{"0 0 4370 n2.example 30"});
  SECTION("and once more, to see if it is back") {
    for (int i = 0; i < 20; ++i) {
      CHECK(srv_lines(client.ask(kQuestion, lookup)) == Lines{"0 0 4370 n2.example 30"});
    }
    client.settle();
    CHECK(silent.queries().size() == 2);
  }
  SECTION("and comes first again when it is back") {
    is_back = true;
    auto lines = Lines{};
    for (int i = 0; i < 1000 && lines != Lines{"0 0 4370 n1.example 30"}; ++i) {
      lines = srv_lines(client.ask(kQuestion, lookup));
    }
    CHECK(lines == Lines{"0 0 4370 n1.example 30"});
  }
}

}  // namespace
}  // namespace caravan
