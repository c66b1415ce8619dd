#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "catch.hpp"
#include "core/resolver/resolver.hpp"
#include "support/handlers.hpp"
#include "support/lookup_client.hpp"
#include "support/reply_text.hpp"

// The options of a client and of a lookup.
namespace caravan {
namespace {

using std::chrono::milliseconds;

using test::address_lines;
using test::at;
using test::Lines;
using test::MockDnsServer;
using test::outcome;
using test::srv_lines;

const Question kQuestion{"app.example", RecordType::kSrv};

// Sets an environment variable until the end of the scope. No resolver may run when that begins or ends.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_{name} { ::setenv(name, value, 1); }
  ~Environment() { ::unsetenv(name_); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* name_;
};

Lines names(const MockDnsServer& server) {
  Lines lines;
  for (const auto& query : server.queries()) {
    lines.push_back(query.name);
  }
  return lines;
}

TEST_CASE("the number of tries is an option") {
  const auto tries = GENERATE(std::uint8_t{1}, std::uint8_t{2}, std::uint8_t{7});
  // The error comes at once, and another attempt may follow it.
  MockDnsServer server{test::fail_with(1)};
  auto options = test::once_at(server);
  options.tries = tries;
  // FORMERR to a question with EDNS only means that the server lacks EDNS.
  options.edns_size = 0;
  test::LookupClient client{options};
  CHECK(outcome(client.ask(kQuestion)) == "formerr");
  CHECK(server.queries().size() == tries);
}

TEST_CASE("nameservers take turns with the option rotate") {
  MockDnsServer first{test::answer_with("n1.example")};
  MockDnsServer second{test::answer_with("n1.example")};
  MockDnsServer third{test::answer_with("n1.example")};
  const bool rotate = GENERATE(false, true);
  auto options = test::once_at(first, second, third);
  options.rotate = rotate;
  test::LookupClient client{options};
  for (int i = 0; i < 6; ++i) {
    client.ask(kQuestion);
  }
  CHECK(first.queries().size() == (rotate ? 2 : 6));
  CHECK(second.queries().size() == (rotate ? 2 : 0));
  CHECK(third.queries().size() == (rotate ? 2 : 0));
}

TEST_CASE("with rotate, another nameserver answers when one fails") {
  MockDnsServer failing{test::fail_with(2)};
  MockDnsServer good{test::answer_with("n1.example")};
  auto options = test::once_at(failing, good);
  options.rotate = true;
  test::LookupClient client{options};
  for (int i = 0; i < 6; ++i) {
    CHECK(outcome(client.ask(kQuestion)) == "ok");
  }
  CHECK(failing.queries().size() == 3);
  CHECK(good.queries().size() == 6);
}

TEST_CASE("a question advertises the size of the option unless EDNS is off") {
  const auto size = GENERATE(std::uint16_t{0}, std::uint16_t{512}, std::uint16_t{1232}, kMaxEdnsSize);
  MockDnsServer server{test::answer_with("n1.example")};
  auto options = test::once_at(server);
  options.edns_size = size;
  test::LookupClient client{options};
  CHECK(outcome(client.ask(kQuestion)) == "ok");
  CHECK(server.queries().at(0).edns_size == (size == 0 ? std::nullopt : std::optional{size}));
}

TEST_CASE("clients with different sizes do not affect each other") {
  MockDnsServer server{test::answer_with("n1.example")};
  auto options = test::once_at(server);
  test::LookupClient large{options};
  options.edns_size = 0;
  test::LookupClient none{large, options};
  large.ask(kQuestion);
  none.ask(kQuestion);
  large.ask(kQuestion);
  const auto queries = server.queries();
  CHECK(queries.at(0).edns_size == kMaxEdnsSize);
  CHECK_FALSE(queries.at(1).edns_size);
  CHECK(queries.at(2).edns_size == kMaxEdnsSize);
}

TEST_CASE("by default SRV records are asked for over TCP first and addresses over UDP") {
  MockDnsServer server{test::fail_with(3)};
  auto options = test::once_at(server);
  options.transport.reset();
  test::LookupClient client{options};
  client.ask(LookupType::kSrv, "app.example");
  client.ask(LookupType::kA, "app.example");
  client.ask(LookupType::kAaaa, "app.example");
  CHECK(server.transports() == Lines{"tcp", "udp", "udp"});

  LookupOptions over_tcp;
  over_tcp.transport = Transport::kTcp;
  client.ask(LookupType::kA, "app.example", over_tcp);
  CHECK(server.transports().back() == "tcp");
}

TEST_CASE("a lookup may want another transport than its client") {
  MockDnsServer server{test::answer_with("n1.example")};
  auto options = test::once_at(server);
  options.transport = Transport::kTcp;
  test::LookupClient client{options};
  client.ask(kQuestion);
  LookupOptions over_udp;
  over_udp.transport = Transport::kUdp;
  client.ask(kQuestion, over_udp);
  CHECK(server.transports() == Lines{"tcp", "udp"});
}

TEST_CASE("a lookup may ask other nameservers than its client") {
  MockDnsServer server{test::answer_with("n1.example")};
  MockDnsServer other{test::answer_with("n2.example")};
  test::LookupClient client{test::once_at(server)};
  CHECK(srv_lines(client.ask(kQuestion, at(Transport::kUdp, other))) == Lines{"0 0 4370 n2.example 30"});
  CHECK(srv_lines(client.ask(kQuestion)) == Lines{"0 0 4370 n1.example 30"});
  CHECK(server.queries().size() == 1);
  CHECK(other.queries().size() == 1);
}

TEST_CASE("a lookup has the timeout of its client by default") {
  MockDnsServer silent{test::say_nothing};
  auto options = test::once_at(silent);
  options.timeout = milliseconds{20};
  test::LookupClient hasty{options};
  CHECK(outcome(hasty.ask(kQuestion)) == "timeout");

  test::LookupClient patient{test::once_at(silent)};
  LookupOptions briefly;
  briefly.timeout = milliseconds{20};
  CHECK(outcome(patient.ask(kQuestion, briefly)) == "timeout");
}

TEST_CASE("records come as they were sent or in the order of RFC 2782") {
  MockDnsServer server{[](auto& exchange) {
    auto reply = exchange.query().reply();
    for (const std::uint16_t priority : std::array<std::uint16_t, 4>{3, 1, 2, 0}) {
      reply.srv(exchange.query().name, 30, priority, 0, 4370, "n" + std::to_string(priority) + ".example");
    }
    exchange.reply(reply);
  }};
  const Lines as_sent{"3 0 4370 n3.example 30", "1 0 4370 n1.example 30", "2 0 4370 n2.example 30",
                      "0 0 4370 n0.example 30"};
  const Lines by_priority{"0 0 4370 n0.example 30", "1 0 4370 n1.example 30", "2 0 4370 n2.example 30",
                          "3 0 4370 n3.example 30"};
  const bool of_client = GENERATE(false, true);
  auto options = test::once_at(server);
  options.srv_order = of_client;
  test::LookupClient client{options};
  CHECK(srv_lines(client.ask(kQuestion)) == (of_client ? by_priority : as_sent));
  for (const bool of_lookup : {false, true}) {
    LookupOptions lookup;
    lookup.srv_order = of_lookup;
    CHECK(srv_lines(client.ask(kQuestion, lookup)) == (of_lookup ? by_priority : as_sent));
  }
}

TEST_CASE("by default the search list applies to the system's nameservers only") {
  const Environment list{"LOCALDOMAIN", "a.example b.example"};
  MockDnsServer server{test::fail_with(3)};
  struct Case {
    std::optional<bool> search;
    const char* name;
    Lines asked;
  };
  const auto [search, name, asked] = GENERATE(values<Case>({
      {std::nullopt, "app", {"app"}},
      {false, "app", {"app"}},
      {true, "app", {"app.a.example", "app.b.example", "app"}},
      {true, "app.", {"app"}},
      {true, "app.c", {"app.c", "app.c.a.example", "app.c.b.example"}},
  }));
  auto options = test::once_at(server);
  options.search = search;
  test::LookupClient client{options};
  CHECK(outcome(client.ask(LookupType::kSrv, name)) == "nxdomain");
  CHECK(names(server) == asked);
}

TEST_CASE("a negative answer for all candidates is cached for the least of their TTLs") {
  const Environment list{"LOCALDOMAIN", "a.example"};
  MockDnsServer server{[](auto& exchange) {
    const auto& query = exchange.query();
    const std::uint32_t ttl = query.name == "app" ? 300 : 7;
    exchange.reply(query.reply().rcode(3).in(test::Section::kAuthority).soa("example", ttl, ttl));
  }};
  auto options = test::once_at(server);
  options.search = true;
  test::LookupClient client{options};
  CHECK(client.ask(LookupType::kSrv, "app").ttl == 7U);
}

TEST_CASE("a name of the search list that is found ends the search") {
  const Environment list{"LOCALDOMAIN", "a.example b.example"};
  MockDnsServer server{[](auto& exchange) {
    const auto& query = exchange.query();
    exchange.reply(query.name == "app.b.example" ? srv_reply_to(query, "n1.example") : query.reply().rcode(3));
  }};
  auto options = test::once_at(server);
  options.search = true;
  test::LookupClient client{options};
  CHECK(srv_lines(client.ask(LookupType::kSrv, "app")) == Lines{"0 0 4370 n1.example 30"});
  CHECK(names(server) == Lines{"app.a.example", "app.b.example"});
}

TEST_CASE("addresses are those of one name of the search list and never of two hosts") {
  const Environment list{"LOCALDOMAIN", "a.example b.example"};
  MockDnsServer server{[](auto& exchange) {
    const auto& query = exchange.query();
    if (query.name == "app.a.example") {
      exchange.reply(query.reply().rcode(3));
    } else if (query.name == "app.b.example" && query.type == RecordType::kAaaa) {
      exchange.reply(query.reply().aaaa(query.name, 30, "2001:db8::b"));
    } else if (query.name == "app" && query.type == RecordType::kA) {
      exchange.reply(query.reply().a(query.name, 30, "10.0.0.1"));
    } else {
      exchange.reply(query.reply());
    }
  }};
  auto options = test::once_at(server);
  options.search = true;
  test::LookupClient client{options};
  CHECK(address_lines(client.ask(LookupType::kAddresses, "app")) == Lines{"2001:db8::b 30"});
  auto asked = names(server);
  std::sort(asked.begin(), asked.end());
  CHECK(asked == Lines{"app.a.example", "app.a.example", "app.b.example", "app.b.example"});
}

TEST_CASE("a search for addresses ends with the resolver") {
  const Environment list{"LOCALDOMAIN", "a.example b.example"};
  MockDnsServer server{test::say_nothing};
  auto options = test::once_at(server);
  options.search = true;
  options.timeout = 2 * test::kHangGuard;
  test::LookupClient client{options};
  auto answer = client.start(LookupType::kAddresses, "app");
  client.settle();
  if (GENERATE(false, true)) {
    client.close();
  } else {
    client.destroy_resolver();
  }
  CHECK(outcome(test::await(std::move(answer)).value()) == "closed");
}

}  // namespace
}  // namespace caravan
