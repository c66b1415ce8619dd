#include <future>
#include <memory>
#include <string>

#include "catch.hpp"
#include "core/resolver/resolver.hpp"
#include "support/handlers.hpp"
#include "support/lookup_client.hpp"
#include "support/reply_text.hpp"
#include "support/temporary_file.hpp"

// Lookups of the addresses of a name, of both families.
namespace caravan {
namespace {

using test::address_lines;
using test::Lines;
using test::MockDnsServer;
using test::outcome;
using Handler = MockDnsServer::Handler;

// The server's reply for each family.
MockDnsServer::Handler by_family(Handler ipv4, Handler ipv6) {
  return [ipv4 = std::move(ipv4), ipv6 = std::move(ipv6)](auto& exchange) {
    (exchange.query().type == RecordType::kA ? ipv4 : ipv6)(exchange);
  };
}

void say_ipv4(MockDnsServer::Exchange& exchange) {
  const auto& query = exchange.query();
  exchange.reply(query.reply().a(query.name, 30, "10.0.0.1").a(query.name, 30, "10.0.0.2"));
}

void say_ipv6(MockDnsServer::Exchange& exchange) {
  const auto& query = exchange.query();
  exchange.reply(query.reply().aaaa(query.name, 20, "2001:db8::1"));
}

ClientOptions over_tcp(const MockDnsServer& server) {
  auto options = test::once_at(server);
  options.transport = Transport::kTcp;
  return options;
}

ClientOptions with_hosts(const MockDnsServer& server, const test::TemporaryFile& file) {
  auto options = test::once_at(server);
  options.hosts_file = file.path();
  return options;
}

TEST_CASE("the addresses of both families are asked for and come together") {
  MockDnsServer server{by_family(say_ipv4, say_ipv6)};
  test::LookupClient client{over_tcp(server)};
  const auto reply = client.ask(LookupType::kAddresses, "n1.example");
  CHECK(address_lines(reply) == Lines{"10.0.0.1 30", "10.0.0.2 30", "2001:db8::1 20"});
  CHECK(reply.ttl == 20U);
  CHECK(reply.complete);
  CHECK(server.queries().size() == 2);
  for (const auto& query : server.queries()) {
    CHECK(query.name == "n1.example");
  }
}

TEST_CASE("addresses are asked for over UDP by default") {
  MockDnsServer server{by_family(say_ipv4, say_ipv6)};
  auto options = test::once_at(server);
  options.transport.reset();
  test::LookupClient client{options};
  CHECK_FALSE(client.ask(LookupType::kAddresses, "n1.example").complete);
  CHECK(server.transports() == Lines{"udp", "udp"});
}

TEST_CASE("the addresses of an address are itself, without a question") {
  MockDnsServer server{by_family(say_ipv4, say_ipv6)};
  test::LookupClient client{test::once_at(server)};
  for (const auto* address : {"192.0.2.7", "2001:db8::7", "::1", "::ffff:10.0.0.1"}) {
    CAPTURE(address);
    const auto reply = client.ask(LookupType::kAddresses, address);
    CHECK(outcome(reply) == "ok");
    REQUIRE(reply.addresses.size() == 1);
    CHECK(reply.addresses[0].address == parse_ip_address(address));
    CHECK(reply.complete);
  }
  CHECK(server.queries().empty());
}

TEST_CASE("a family without addresses leaves those of the other one complete") {
  const auto rcode = GENERATE(0U, 3U);
  MockDnsServer only_ipv4{by_family(say_ipv4, test::fail_with(rcode))};
  test::LookupClient client{over_tcp(only_ipv4)};
  const auto reply = client.ask(LookupType::kAddresses, "n1.example");
  CHECK(address_lines(reply) == Lines{"10.0.0.1 30", "10.0.0.2 30"});
  CHECK(reply.complete);

  MockDnsServer only_ipv6{by_family(test::fail_with(rcode), say_ipv6)};
  test::LookupClient other{over_tcp(only_ipv6)};
  CHECK(address_lines(other.ask(LookupType::kAddresses, "n1.example")) == Lines{"2001:db8::1 20"});
}

TEST_CASE("addresses are incomplete if the other family fails") {
  MockDnsServer server{by_family(say_ipv4, test::fail_with(2))};
  test::LookupClient client{over_tcp(server)};
  const auto reply = client.ask(LookupType::kAddresses, "n1.example");
  CHECK(address_lines(reply) == Lines{"10.0.0.1 30", "10.0.0.2 30"});
  CHECK_FALSE(reply.complete);
}

TEST_CASE("addresses of one family are given if the other one is not answered in time") {
  MockDnsServer server{by_family(test::say_nothing, say_ipv6)};
  auto options = over_tcp(server);
  options.timeout = std::chrono::milliseconds{500};
  test::LookupClient client{options};
  const auto reply = client.ask(LookupType::kAddresses, "n1.example");
  CHECK(address_lines(reply) == Lines{"2001:db8::1 20"});
  CHECK_FALSE(reply.complete);
}

// Some load balancers are silent for a family that they do not support.
TEST_CASE("a family that is never answered does not keep the addresses of the other one back") {
  MockDnsServer server{by_family(say_ipv4, test::say_nothing)};
  // Longer than the test runs.
  auto options = test::once_at(server);
  options.timeout = 2 * test::kHangGuard;
  test::LookupClient client{options};
  const auto reply = client.ask(LookupType::kAddresses, "n1.example");
  CHECK(address_lines(reply) == Lines{"10.0.0.1 30", "10.0.0.2 30"});
  CHECK_FALSE(reply.complete);
}

// Each lookup has two questions, of which one holds its slot until then.
TEST_CASE("a family that is never answered keeps no other lookup from being asked") {
  MockDnsServer server{by_family(say_ipv4, test::say_nothing)};
  auto options = test::once_at(server);
  options.timeout = 2 * test::kHangGuard;
  options.max_inflight = 4;
  test::LookupClient client{options};
  std::vector<std::future<test::Answer>> answers;
  for (int i = 0; i < 12; ++i) {
    answers.push_back(client.start(LookupType::kAddresses, "n" + std::to_string(i) + ".example"));
  }
  for (auto& answer : answers) {
    CHECK(address_lines(test::await(std::move(answer)).value()) == Lines{"10.0.0.1 30", "10.0.0.2 30"});
  }
}

TEST_CASE("a lookup of addresses of which one family has failed is closed when its resolver is") {
  test::Gate failed;
  MockDnsServer server{[&failed](auto& exchange) {
    if (exchange.query().type == RecordType::kAaaa) {
      exchange.reply(exchange.query().reply().rcode(2));
      failed.open();
    }
  }};
  test::LookupClient client{test::once_at(server)};
  auto answer = client.start(LookupType::kAddresses, "host.example");
  failed.pass();
  client.settle();
  client.close();
  CHECK(outcome(test::await(std::move(answer)).value()) == "closed");
}

TEST_CASE("the result is negative if both families are, and a failure if one fails") {
  struct Case {
    unsigned ipv4;
    unsigned ipv6;
    std::string joined;
  };
  const auto [ipv4, ipv6, joined] = GENERATE(values<Case>({{0, 0, "nodata"},
                                                           {3, 3, "nxdomain"},
                                                           {0, 3, "nodata"},
                                                           {3, 0, "nodata"},
                                                           {2, 0, "servfail"},
                                                           {3, 5, "refused"},
                                                           {5, 3, "refused"}}));
  CAPTURE(ipv4, ipv6);
  MockDnsServer server{by_family(test::fail_with(ipv4), test::fail_with(ipv6))};
  test::LookupClient client{test::once_at(server)};
  CHECK(outcome(client.ask(LookupType::kAddresses, "n1.example")) == joined);
}

TEST_CASE("invalid names have no addresses and cause no question") {
  MockDnsServer server{by_family(say_ipv4, say_ipv6)};
  test::LookupClient client{test::once_at(server)};
  for (const auto* name : {"", "a..b", "[::1]", "10.0.0.1:53", "a b"}) {
    CAPTURE(name);
    CHECK(client.refusal(LookupType::kAddresses, name) == Error::kBadname);
  }
  CHECK(server.queries().empty());
}

TEST_CASE("a name in the hosts file has the addresses there and causes no question") {
  MockDnsServer server{by_family(say_ipv4, say_ipv6)};
  const test::TemporaryFile file{"192.0.2.1 db db.example\n2001:db8::2 db\n"};
  test::LookupClient client{with_hosts(server, file)};
  const auto reply = client.ask(LookupType::kAddresses, "DB.");
  REQUIRE(outcome(reply) == "ok");
  REQUIRE(reply.addresses.size() == 2);
  CHECK(reply.addresses[0].address == parse_ip_address("192.0.2.1"));
  CHECK(reply.addresses[1].address == parse_ip_address("2001:db8::2"));
  CHECK(reply.complete);
  CHECK(server.queries().empty());
}

TEST_CASE("names that are not in the hosts file and lookups of records go to the server") {
  MockDnsServer server{by_family(say_ipv4, say_ipv6)};
  const test::TemporaryFile file{"192.0.2.1 db\n"};
  test::LookupClient client{with_hosts(server, file)};
  CHECK(client.ask(LookupType::kAddresses, "other").addresses.size() == 3);
  CHECK(address_lines(client.ask(LookupType::kA, "db")) == Lines{"10.0.0.1 30", "10.0.0.2 30"});
}

TEST_CASE("every client has its own hosts file or none") {
  MockDnsServer server{by_family(say_ipv4, say_ipv6)};
  const test::TemporaryFile file{"192.0.2.1 localhost\n"};
  test::LookupClient client{with_hosts(server, file)};
  test::LookupClient without{client, test::once_at(server)};
  CHECK(client.ask(LookupType::kAddresses, "localhost").addresses.size() == 1);
  CHECK(without.ask(LookupType::kAddresses, "localhost").addresses.size() == 3);
}

TEST_CASE("a lookup of addresses is counted once however it ends") {
  MockDnsServer server{by_family(say_ipv4, test::fail_with(2))};
  const test::TemporaryFile file{"192.0.2.1 db\n"};
  test::LookupClient client{with_hosts(server, file)};
  client.ask(LookupType::kAddresses, "n1.example");
  client.settle();
  CHECK(client.stats().answered() == 1);
  CHECK(client.stats().failed(Error::kServfail) == 0);
  CHECK(client.stats().get(Counter::kQueries) == 2);
  client.ask(LookupType::kAddresses, "db");
  client.ask(LookupType::kAddresses, "192.0.2.1");
  client.settle();
  CHECK(client.stats().answered() == 3);
  CHECK(client.stats().in_flight == 0);
}

TEST_CASE("a lookup of addresses that nobody waits for is not asked") {
  MockDnsServer server{by_family(say_ipv4, say_ipv6)};
  test::LookupClient client{test::once_at(server)};
  const auto waiting = std::make_shared<std::atomic<bool>>(false);
  CHECK_FALSE(test::await(client.start(LookupType::kAddresses, "n1.example", {}, waiting)));
  CHECK(server.queries().empty());
  client.settle();
  CHECK(client.stats().failed(Error::kCancelled) == 1);
}

TEST_CASE("a lookup of addresses shares the queries of equal ones") {
  test::Gate gate;
  const auto held = [&](Handler handler) {
    return [&gate, handler](MockDnsServer::Exchange& exchange) {
      gate.pass();
      handler(exchange);
    };
  };
  MockDnsServer server{by_family(held(say_ipv4), held(say_ipv6))};
  test::LookupClient client{test::once_at(server)};
  auto first = client.start(LookupType::kAddresses, "n1.example");
  auto second = client.start(LookupType::kAddresses, "N1.example");
  auto ipv4 = client.start(LookupType::kA, "n1.example");
  client.settle();
  gate.open();
  CHECK(test::await(std::move(first)).value().addresses.size() == 3);
  CHECK(test::await(std::move(second)).value().addresses.size() == 3);
  CHECK(test::await(std::move(ipv4)).value().addresses.size() == 2);
  CHECK(server.queries().size() == 2);
  CHECK(client.stats().get(Counter::kCoalesced) == 3);
}

}  // namespace
}  // namespace caravan
