#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "catch.hpp"
#include "core/resolver/edns_support.hpp"
#include "core/resolver/resolver.hpp"
#include "support/handlers.hpp"
#include "support/lookup_client.hpp"
#include "support/reply_text.hpp"

// Nameservers without EDNS (RFC 6891), and networks that drop questions with it.
namespace caravan {
namespace {

using test::DnsBuilder;
using test::Lines;
using test::MockDnsServer;
using test::outcome;
using test::srv_lines;
using Exchange = MockDnsServer::Exchange;

const Question kQuestion{"app.example", RecordType::kSrv};

// What a nameserver without EDNS does with a question that has it.
MockDnsServer::Handler without_edns(MockDnsServer::Handler with_edns) {
  return [with_edns = std::move(with_edns)](Exchange& exchange) {
    const auto& query = exchange.query();
    (query.edns_size ? with_edns : test::answer_with("n1.example"))(exchange);
  };
}

// Whether each of the queries had EDNS.
std::vector<bool> had_edns(const MockDnsServer& server) {
  std::vector<bool> had;
  for (const auto& query : server.queries()) {
    had.push_back(query.edns_size.has_value());
  }
  return had;
}

ClientOptions at(const MockDnsServer& server, std::uint8_t tries) {
  auto options = test::once_at(server);
  options.tries = tries;
  return options;
}

test::Bytes with_opt(const DnsBuilder& reply) {
  auto message = reply.build();
  message[11] = 1;
  return test::concat({message, test::Bytes{0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0}});
}

// A header with counts of zero.
test::Bytes header_of(const DnsBuilder& reply) {
  auto message = reply.build();
  message.resize(12);
  std::fill(message.begin() + 4, message.end(), std::uint8_t{0});
  return message;
}

TEST_CASE("a nameserver that refuses EDNS is asked without it, and is remembered") {
  const auto form = GENERATE(0, 1, 2);
  MockDnsServer server{without_edns([form](Exchange& exchange) {
    const auto reply = exchange.query().reply().rcode(1);
    const std::array forms{reply.build(), with_opt(reply), header_of(reply)};
    exchange.reply(forms.at(static_cast<std::size_t>(form)));
  })};
  test::LookupClient client{at(server, 1)};
  for (int i = 0; i < 3; ++i) {
    CHECK(srv_lines(client.ask(kQuestion)) == Lines{"0 0 4370 n1.example 30"});
  }
  CHECK(had_edns(server) == std::vector{true, false, false, false});
  CHECK(client.stats().get(Counter::kEdnsFallbacks) == 1);
  // What one client has learned about a nameserver holds for all.
  test::LookupClient other{client, at(server, 1)};
  CHECK(outcome(other.ask(kQuestion)) == "ok");
  CHECK(had_edns(server) == std::vector{true, false, false, false, false});
}

TEST_CASE("a nameserver that always replies FORMERR is asked without EDNS once for each try, and is not remembered") {
  const bool is_bare = GENERATE(false, true);
  MockDnsServer server{[is_bare](Exchange& exchange) {
    const auto reply = exchange.query().reply().rcode(1);
    exchange.reply(is_bare ? header_of(reply) : reply.build());
  }};
  test::LookupClient client{at(server, 1)};
  for (int i = 0; i < 2; ++i) {
    CHECK(outcome(client.ask(kQuestion)) == "formerr");
  }
  CHECK(had_edns(server) == std::vector{true, false, true, false});
}

TEST_CASE("a lookup is answered without EDNS where questions with it are dropped") {
  MockDnsServer server{without_edns(test::say_nothing)};
  test::LookupClient client{at(server, 3)};
  for (unsigned i = 1; i <= EdnsSupport::kMinEvidence; ++i) {
    CHECK(outcome(client.ask(kQuestion)) == "ok");
    CHECK(server.queries().size() == 3 * i);
  }
  CHECK(client.stats().get(Counter::kEdnsFallbacks) == EdnsSupport::kMinEvidence);
  CHECK(outcome(client.ask(kQuestion)) == "ok");
  CHECK(server.queries().size() == 3 * EdnsSupport::kMinEvidence + 1);
}

TEST_CASE("a nameserver that has answered with EDNS is asked with it despite losses") {
  MockDnsServer server{[asked = 0](Exchange& exchange) mutable {
    if (++asked == 1 || asked == 4) {
      test::answer_with("n1.example")(exchange);
    }
  }};
  test::LookupClient client{at(server, 3)};
  CHECK(outcome(client.ask(kQuestion)) == "ok");
  CHECK(outcome(client.ask(kQuestion)) == "ok");
  CHECK(had_edns(server) == std::vector{true, true, true, true});
}

TEST_CASE("questions over TCP have no EDNS") {
  MockDnsServer server{test::answer_with("n1.example")};
  auto options = at(server, 1);
  options.transport = Transport::kTcp;
  test::LookupClient client{options};
  CHECK(client.ask(kQuestion).complete);
  CHECK(had_edns(server) == std::vector{false});
}

}  // namespace
}  // namespace caravan
