#include <functional>
#include <string>

#include "catch.hpp"
#include "core/resolver/resolver.hpp"
#include "support/handlers.hpp"
#include "support/lookup_client.hpp"
#include "support/reply_text.hpp"

// Replies that are no answer to the question. None of them ends the lookup in place of the true one, none is believed.
namespace caravan {
namespace {

using std::chrono::milliseconds;

using test::at;
using test::Bytes;
using test::DnsBuilder;
using test::Lines;
using test::MockDnsServer;
using test::outcome;
using test::srv_lines;
using Exchange = MockDnsServer::Exchange;

const Question kQuestion{"app.example", RecordType::kSrv};

using Forgery = std::function<void(Exchange&)>;

// What an attacker sends who does not see the question.
Forgery any_forgery() {
  return GENERATE(
      as<Forgery>{},
      [](Exchange& exchange) {
        const auto id = static_cast<std::uint16_t>(exchange.query().id + 1);
        exchange.reply(srv_reply_to(exchange.query(), "evil.example").id(id));
      },
      [](Exchange& exchange) {
        exchange.reply(
            DnsBuilder{"evil.example"}.id(exchange.query().id).srv("app.example", 30, 0, 0, 1, "evil.example"));
      },
      [](Exchange& exchange) {
        exchange.reply(DnsBuilder{"app.example", RecordType::kA}
                           .id(exchange.query().id)
                           .srv("app.example", 30, 0, 0, 1, "evil.example"));
      },
      [](Exchange& exchange) {
        exchange.reply_from_elsewhere(srv_reply_to(exchange.query(), "evil.example").build());
      });
}

// Octets that are no DNS message.
Bytes any_garbage() { return GENERATE(as<Bytes>{}, Bytes{}, Bytes{0xFF}, Bytes(500, 0xFF), Bytes(500, 0x00)); }

TEST_CASE("a forged reply before the real one is ignored") {
  test::LookupClient client;
  const auto forge = any_forgery();
  MockDnsServer server{[&](auto& exchange) {
    forge(exchange);
    exchange.reply(srv_reply_to(exchange.query(), "n1.example"));
  }};
  const auto reply = client.ask(kQuestion, at(Transport::kUdp, server));
  CHECK(srv_lines(reply) == Lines{"0 0 4370 n1.example 30"});
}

TEST_CASE("garbage before the answer is ignored") {
  test::LookupClient client;
  const auto garbage = any_garbage();
  const int count = GENERATE(1, 100);
  MockDnsServer server{[&](auto& exchange) {
    for (int i = 0; i < count; ++i) {
      exchange.reply(garbage);
    }
    exchange.reply(srv_reply_to(exchange.query(), "n1.example"));
  }};
  const auto reply = client.ask(kQuestion, at(Transport::kUdp, server));
  CHECK(srv_lines(reply) == Lines{"0 0 4370 n1.example 30"});
  CHECK(server.queries().size() == 1);
}

TEST_CASE("an echoed question before the answer is ignored") {
  test::LookupClient client;
  MockDnsServer server{[](auto& exchange) {
    exchange.reply(exchange.query().message);
    exchange.reply(srv_reply_to(exchange.query(), "n1.example"));
  }};
  CHECK(srv_lines(client.ask(kQuestion, at(Transport::kUdp, server))) == Lines{"0 0 4370 n1.example 30"});
  CHECK(server.queries().size() == 1);
}

TEST_CASE("a forged reply alone is no answer") {
  test::LookupClient client;
  MockDnsServer server{any_forgery()};
  const auto reply = client.ask(kQuestion, at(Transport::kUdp, milliseconds{300}, server));
  REQUIRE(reply.error);
  CHECK_FALSE(is_negative_answer(*reply.error));
}

TEST_CASE("garbage alone is no answer") {
  test::LookupClient client;
  MockDnsServer server{[garbage = any_garbage()](auto& exchange) { exchange.reply(garbage); }};
  const auto reply = client.ask(kQuestion, at(Transport::kUdp, milliseconds{300}, server));
  REQUIRE(reply.error);
  CHECK_FALSE(is_negative_answer(*reply.error));
}

TEST_CASE("a reply to the question that cannot be read is a bad response") {
  test::LookupClient client;
  const auto transport = GENERATE(Transport::kUdp, Transport::kTcp, Transport::kTcpFirst);
  MockDnsServer server{[](auto& exchange) {
    exchange.reply(exchange.query().reply().claim(test::Section::kAnswer, 7).raw({0xC0, 0xFF, 1, 2, 3}));
  }};
  CHECK(outcome(client.ask(kQuestion, at(transport, server))) == "badresp");
}

TEST_CASE("after a malformed reply another server is asked") {
  test::LookupClient client;
  MockDnsServer first{
      [](auto& exchange) { exchange.reply(exchange.query().reply().claim(test::Section::kAnswer, 7)); }};
  MockDnsServer second{test::answer_with("n2.example")};
  CHECK(srv_lines(client.ask(kQuestion, at(Transport::kUdp, first, second))) == Lines{"0 0 4370 n2.example 30"});
}

TEST_CASE("an echoed query is no answer") {
  test::LookupClient client;
  MockDnsServer server{[](auto& exchange) { exchange.reply(exchange.query().message); }};
  const auto reply = client.ask(kQuestion, at(Transport::kUdp, milliseconds{300}, server));
  REQUIRE(reply.error);
  CHECK_FALSE(is_negative_answer(*reply.error));
}

TEST_CASE("a second reply to a question answers no other one") {
  test::LookupClient client;
  MockDnsServer server{[](auto& exchange) {
    exchange.reply(srv_reply_to(exchange.query(), exchange.query().name));
    exchange.reply(srv_reply_to(exchange.query(), "evil.example"));
  }};
  for (int i = 0; i < 100; ++i) {
    const auto name = "app" + std::to_string(i) + ".example";
    CHECK(srv_lines(client.ask({name, RecordType::kSrv}, at(Transport::kUdp, server))) ==
          Lines{"0 0 4370 " + name + " 30"});
  }
}

TEST_CASE("garbage over TCP is no answer and does not end the resolver") {
  test::LookupClient client;
  const auto octets = GENERATE(as<Bytes>{}, Bytes{0, 0}, Bytes{0, 1, 0xFF}, Bytes(200, 0), Bytes(70'000, 0xFF));
  MockDnsServer server{[&](auto& exchange) {
    if (exchange.query().tcp) {
      exchange.write(octets);
      exchange.close();
    } else {
      exchange.reply(srv_reply_to(exchange.query(), "n1.example"));
    }
  }};
  const auto reply = client.ask(kQuestion, at(Transport::kTcpFirst, server));
  CHECK(outcome(reply) == "ok");
  CHECK_FALSE(reply.complete);
}

}  // namespace
}  // namespace caravan
