#include <string>

#include "catch.hpp"
#include "core/resolver/resolver.hpp"
#include "support/handlers.hpp"
#include "support/lookup_client.hpp"
#include "support/reply_text.hpp"

// Answers that are cached, and those that must not be.
namespace caravan {
namespace {

using test::address_lines;
using test::at;
using test::Lines;
using test::MockDnsServer;
using test::outcome;
using test::srv_lines;
using Listen = MockDnsServer::Listen;

const Question kQuestion{"app.example", RecordType::kSrv};

ClientOptions caching(const MockDnsServer& server, ReplyCache::Limits limits = {}) {
  auto options = test::once_at(server);
  options.cache = limits;
  return options;
}

// How often the server is asked when the question is put twice.
std::size_t questions_for_two(MockDnsServer& server, ClientOptions options, LookupOptions lookup = {}) {
  test::LookupClient client{std::move(options)};
  const auto first = client.ask(kQuestion, lookup);
  const auto asked = server.queries().size();
  const auto second = client.ask(kQuestion, lookup);
  CHECK(outcome(first) == outcome(second));
  CHECK(srv_lines(first).size() == srv_lines(second).size());
  CHECK(first.complete == second.complete);
  CHECK(client.stats().get(Counter::kCacheHits) == (server.queries().size() > asked ? 0U : 1U));
  return server.queries().size();
}

MockDnsServer::Handler answer_with_ttl(std::uint32_t ttl) {
  return [ttl](auto& exchange) {
    exchange.reply(exchange.query().reply().srv(exchange.query().name, ttl, 0, 0, 4370, "n1.example"));
  };
}

MockDnsServer::Handler deny(unsigned rcode, bool with_soa) {
  return [rcode, with_soa](auto& exchange) {
    auto reply = exchange.query().reply().rcode(rcode);
    if (with_soa) {
      reply.in(test::Section::kAuthority).soa("example", 300, 60);
    }
    exchange.reply(reply);
  };
}

TEST_CASE("with a cache an answer is asked for once") {
  MockDnsServer server{answer_with_ttl(300)};
  const auto transport = GENERATE(Transport::kUdp, Transport::kTcp, Transport::kTcpFirst);
  LookupOptions options;
  options.transport = transport;
  CHECK(questions_for_two(server, caching(server), options) == 1);
}

TEST_CASE("answers are not cached by default") {
  MockDnsServer server{answer_with_ttl(300)};
  CHECK(questions_for_two(server, test::once_at(server)) == 2);
}

TEST_CASE("an answer with a TTL of zero is asked for again") {
  MockDnsServer server{answer_with_ttl(0)};
  CHECK(questions_for_two(server, caching(server)) == 2);
}

TEST_CASE("the limits of the cache are the client's") {
  MockDnsServer server{answer_with_ttl(300)};
  CHECK(questions_for_two(server, caching(server, {10, 0, 0})) == 2);
  MockDnsServer denying{deny(3, true)};
  CHECK(questions_for_two(denying, caching(denying, {10, 300, 0})) == 2);
}

TEST_CASE("a negative answer is cached if the server says for how long") {
  const auto rcode = GENERATE(0U, 3U);
  MockDnsServer server{deny(rcode, true)};
  CHECK(questions_for_two(server, caching(server)) == 1);
  MockDnsServer vague{deny(rcode, false)};
  CHECK(questions_for_two(vague, caching(vague)) == 2);
}

TEST_CASE("failures are not cached") {
  const auto rcode = GENERATE(2U, 4U, 5U);
  MockDnsServer server{test::fail_with(rcode)};
  CHECK(questions_for_two(server, caching(server)) == 2);
  MockDnsServer nobody{test::say_nothing, Listen::kNothing};
  test::LookupClient client{caching(nobody)};
  client.ask(kQuestion);
  client.ask(kQuestion);
  CHECK(client.stats().get(Counter::kCacheHits) == 0);
}

TEST_CASE("an answer over UDP in place of one over TCP is not cached") {
  // TCP may work again next time, and give more records.
  MockDnsServer server{answer_with_ttl(300), Listen::kUdp};
  LookupOptions tcp_first;
  tcp_first.transport = Transport::kTcpFirst;
  CHECK(questions_for_two(server, caching(server), tcp_first) == 2);
}

TEST_CASE("a truncated answer is not cached") {
  MockDnsServer server{test::truncate_over_udp("cut.example", test::say_nothing), Listen::kUdp};
  CHECK(questions_for_two(server, caching(server)) == 2);
}

TEST_CASE("a cached answer is used for the same name in any case") {
  MockDnsServer server{answer_with_ttl(300)};
  test::LookupClient client{caching(server)};
  client.ask(kQuestion);
  CHECK(srv_lines(client.ask({"APP.Example", RecordType::kSrv})) == Lines{"0 0 4370 n1.example 300"});
  CHECK(server.queries().size() == 1);

  client.ask({"other.example", RecordType::kSrv});
  client.ask({"app.example", RecordType::kA});
  client.ask({"app.example.", RecordType::kSrv});
  LookupOptions over_tcp;
  over_tcp.transport = Transport::kTcp;
  client.ask(kQuestion, over_tcp);
  CHECK(server.queries().size() == 5);
}

TEST_CASE("an answer of one server is not used for another one") {
  MockDnsServer server{answer_with_ttl(300)};
  MockDnsServer other{test::answer_with("n2.example")};
  test::LookupClient client{caching(server)};
  client.ask(kQuestion);
  CHECK(srv_lines(client.ask(kQuestion, at(Transport::kUdp, other))) == Lines{"0 0 4370 n2.example 30"});
  CHECK(srv_lines(client.ask(kQuestion, at(Transport::kUdp, other))) == Lines{"0 0 4370 n2.example 30"});
  CHECK(other.queries().size() == 1);
}

TEST_CASE("every client has its own cache") {
  MockDnsServer server{answer_with_ttl(300)};
  test::LookupClient client{caching(server)};
  test::LookupClient other{client, caching(server)};
  client.ask(kQuestion);
  other.ask(kQuestion);
  CHECK(server.queries().size() == 2);
  client.ask(kQuestion);
  other.ask(kQuestion);
  CHECK(server.queries().size() == 2);
}

TEST_CASE("an evicted answer is asked for again") {
  MockDnsServer server{answer_with_ttl(300)};
  test::LookupClient client{caching(server, {1, 3600, 60})};
  for (const auto* name : {"a.example", "a.example", "b.example", "a.example"}) {
    CHECK(outcome(client.ask({name, RecordType::kSrv})) == "ok");
  }
  CHECK(server.queries().size() == 3);
}

TEST_CASE("both families of addresses are cached") {
  MockDnsServer server{[](auto& exchange) {
    const auto& query = exchange.query();
    exchange.reply(query.type == RecordType::kA ? query.reply().a(query.name, 300, "10.0.0.1")
                                                : query.reply().aaaa(query.name, 300, "2001:db8::1"));
  }};
  test::LookupClient client{caching(server)};
  const Lines both{"10.0.0.1 300", "2001:db8::1 300"};
  CHECK(address_lines(client.ask(LookupType::kAddresses, "n1.example")) == both);
  CHECK(address_lines(client.ask(LookupType::kAddresses, "n1.example")) == both);
  CHECK(server.queries().size() == 2);
  // A lookup of a single family uses the same entries.
  CHECK(address_lines(client.ask(LookupType::kA, "n1.example")) == Lines{"10.0.0.1 300"});
  CHECK(server.queries().size() == 2);
}

TEST_CASE("a cached answer has the order that its caller wants") {
  MockDnsServer server{[](auto& exchange) {
    const auto& query = exchange.query();
    exchange.reply(
        query.reply().srv(query.name, 300, 2, 0, 4370, "n2.example").srv(query.name, 300, 1, 0, 4370, "n1.example"));
  }};
  test::LookupClient client{caching(server)};
  LookupOptions by_priority;
  by_priority.srv_order = true;
  CHECK(srv_lines(client.ask(kQuestion)).front() == "2 0 4370 n2.example 300");
  CHECK(srv_lines(client.ask(kQuestion, by_priority)).front() == "1 0 4370 n1.example 300");
  CHECK(srv_lines(client.ask(kQuestion)).front() == "2 0 4370 n2.example 300");
  CHECK(server.queries().size() == 1);
}

TEST_CASE("an answer from the cache is counted as one") {
  MockDnsServer server{answer_with_ttl(300)};
  test::LookupClient client{caching(server)};
  for (int i = 0; i < 5; ++i) {
    client.ask(kQuestion);
  }
  client.settle();
  CHECK(client.stats().get(Counter::kCacheHits) == 4);
  CHECK(client.stats().get(Counter::kQueries) == 1);
  CHECK(client.stats().answered() == 5);
}

}  // namespace
}  // namespace caravan
