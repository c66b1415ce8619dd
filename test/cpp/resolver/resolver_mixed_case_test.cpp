#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "catch.hpp"
#include "core/resolver/resolver.hpp"
#include "support/handlers.hpp"
#include "support/lookup_client.hpp"
#include "support/reply_text.hpp"

// Questions with letters in random case.
namespace caravan {
namespace {

using test::DnsBuilder;
using test::Lines;
using test::MockDnsServer;
using test::srv_lines;
using Exchange = MockDnsServer::Exchange;

// So many letters that two questions are equal about once in 2^36.
const std::string kName{"a-rather-long-name-of-a-service.of-the-example"};
const Question kQuestion{kName, RecordType::kSrv};

std::string lower(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(), to_lower_ascii);
  return name;
}

ClientOptions mixed_at(const MockDnsServer& server) {
  auto options = test::once_at(server);
  options.mixed_case = true;
  return options;
}

// Calls the handler with the question in lower case.
MockDnsServer::Handler forgetful(Transport of) {
  return [of](Exchange& exchange) {
    const auto& query = exchange.query();
    const bool forgets = query.tcp == (of == Transport::kTcp);
    const auto name = forgets ? lower(query.name) : query.name;
    exchange.reply(DnsBuilder{name, query.type}.id(query.id).srv(name, 30, 0, 0, 4370, "n1.example"));
  };
}

TEST_CASE("questions differ in the case of their letters and are answered") {
  MockDnsServer server{test::answer_with("n1.example")};
  test::LookupClient client{mixed_at(server)};
  for (int i = 0; i < 3; ++i) {
    CHECK(srv_lines(client.ask(kQuestion)) == Lines{"0 0 4370 n1.example 30"});
  }
  std::set<std::string> names;
  for (const auto& query : server.queries()) {
    CHECK(lower(query.name) == kName);
    names.insert(query.name);
  }
  CHECK(names.size() == 3);
  CHECK(server.transports() == Lines{"udp", "udp", "udp"});
}

TEST_CASE("by default and over TCP the case of questions is unchanged") {
  MockDnsServer server{test::answer_with("n1.example")};
  test::LookupClient client{test::once_at(server)};
  client.ask(kQuestion);
  test::LookupClient mixed{client, mixed_at(server)};
  mixed.ask(kQuestion, {{}, Transport::kTcp, {}, {}});
  for (const auto& query : server.queries()) {
    CHECK(query.name == kName);
  }
}

TEST_CASE("a reply that does not repeat the case is asked for over TCP") {
  MockDnsServer server{forgetful(Transport::kUdp)};
  test::LookupClient client{mixed_at(server)};
  const auto reply = client.ask(kQuestion);
  CHECK(srv_lines(reply) == Lines{"0 0 4370 n1.example 30"});
  CHECK(reply.complete);
  CHECK(server.transports() == Lines{"udp", "tcp"});
}

TEST_CASE("an error that does not repeat the case is not believed") {
  MockDnsServer server{[](Exchange& exchange) {
    const auto& query = exchange.query();
    if (query.tcp) {
      exchange.reply(test::srv_reply_to(query, "n1.example"));
    } else {
      exchange.reply(DnsBuilder{lower(query.name), query.type}.id(query.id).rcode(2));
    }
  }};
  test::LookupClient client{mixed_at(server)};
  CHECK(srv_lines(client.ask(kQuestion)) == Lines{"0 0 4370 n1.example 30"});
}

TEST_CASE("over TCP the case of a reply does not matter") {
  MockDnsServer server{forgetful(Transport::kTcp)};
  test::LookupClient client{mixed_at(server)};
  CHECK_FALSE(client.ask(kQuestion, {{}, Transport::kTcp, {}, {}}).error);
  CHECK(server.transports() == Lines{"tcp"});
}

TEST_CASE("a reply with another question does not count and the right one does") {
  MockDnsServer server{[](Exchange& exchange) {
    const auto& query = exchange.query();
    exchange.reply(DnsBuilder{"other.example", query.type}.id(query.id));
    test::answer_with("n1.example")(exchange);
  }};
  test::LookupClient client{mixed_at(server)};
  CHECK(srv_lines(client.ask(kQuestion)) == Lines{"0 0 4370 n1.example 30"});
  CHECK(server.transports() == Lines{"udp"});
}

TEST_CASE("a target that points into the question has the case of the name that was asked for") {
  MockDnsServer server{[](Exchange& exchange) {
    exchange.reply(exchange.query().reply().srv(test::question_pointer(), 30, 0, 0, 4370, test::question_pointer()));
  }};
  test::LookupClient client{mixed_at(server)};
  CHECK(srv_lines(client.ask(kQuestion)) == Lines{"0 0 4370 " + kName + " 30"});
}

}  // namespace
}  // namespace caravan
