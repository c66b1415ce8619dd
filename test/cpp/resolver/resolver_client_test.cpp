#include <future>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "catch.hpp"
#include "core/resolver/resolver.hpp"
#include "support/handlers.hpp"
#include "support/lookup_client.hpp"
#include "support/reply_text.hpp"

// Clients of a resolver, how they end, and their limits.
namespace caravan {
namespace {

using test::MockDnsServer;
using test::outcome;

const Question kQuestion{"app.example", RecordType::kSrv};

// Equal lookups would share a query.
Question question(std::size_t number) { return {"app" + std::to_string(number) + ".example", RecordType::kSrv}; }

std::optional<Error> submit(test::LookupClient& client, const Question& question) {
  return client.submit(question, {}, std::make_unique<test::PromiseReceiver>(std::promise<test::Answer>{}));
}

std::vector<std::future<test::Answer>> start(test::LookupClient& client, std::size_t count) {
  std::vector<std::future<test::Answer>> answers;
  for (std::size_t i = 0; i < count; ++i) {
    answers.push_back(client.start(question(i)));
  }
  return answers;
}

TEST_CASE("closing a client ends its open lookups and those that wait") {
  MockDnsServer silent{test::say_nothing};
  auto options = test::once_at(silent);
  options.max_inflight = 3;
  test::LookupClient client{options};
  auto answers = start(client, 10);
  answers.push_back(client.start(question(0)));
  answers.push_back(client.start(LookupType::kAddresses, "n1.example"));
  client.settle();
  CHECK(client.close());
  for (auto& answer : answers) {
    CHECK(outcome(test::await(std::move(answer)).value()) == "closed");
  }
  client.settle();
  CHECK(client.stats().failed(Error::kClosed) == 12);
  CHECK(client.stats().in_flight == 0);
  CHECK(client.stats().queued == 0);
}

TEST_CASE("a client may be closed at any moment of its lookups") {
  MockDnsServer server{test::answer_with("n1.example")};
  test::LookupClient resolver;
  for (std::size_t i = 0; i < 200; ++i) {
    test::LookupClient client{resolver, test::once_at(server)};
    auto answers = start(client, i % 10);
    client.close();
    for (auto& answer : answers) {
      const auto how = outcome(test::await(std::move(answer)).value());
      CHECK((how == "ok" || how == "closed"));
    }
  }
}

TEST_CASE("a closed client accepts no lookup") {
  MockDnsServer server{test::answer_with("n1.example")};
  test::LookupClient client{test::once_at(server)};
  REQUIRE(outcome(client.ask(kQuestion)) == "ok");
  CHECK(client.find());
  CHECK(client.close());
  CHECK_FALSE(client.find());
  CHECK(submit(client, kQuestion) == Error::kClosed);
  CHECK_FALSE(client.close());
}

TEST_CASE("a client that never asked can be closed and released") {
  test::LookupClient closed;
  CHECK(closed.close());
  CHECK_FALSE(closed.close());
  CHECK(submit(closed, kQuestion) == Error::kClosed);

  test::LookupClient released;
  released.release();
  CHECK_FALSE(released.find());
  CHECK_FALSE(released.close());

  // The same holds once the resolver has its thread.
  test::LookupClient asking;
  asking.settle();
  test::LookupClient silent{asking, {}};
  CHECK(silent.close());
  CHECK(submit(silent, kQuestion) == Error::kClosed);
  asking.settle();
}

TEST_CASE("a released client gets the answers of its open lookups") {
  test::Gate released;
  MockDnsServer server{test::answer_after(released, "n1.example")};
  auto options = test::once_at(server);
  options.max_inflight = 2;
  test::LookupClient client{options};
  auto answers = start(client, 6);
  client.release();
  CHECK(submit(client, kQuestion) == Error::kClosed);
  CHECK_FALSE(client.close());
  released.open();
  for (auto& answer : answers) {
    CHECK(outcome(test::await(std::move(answer)).value()) == "ok");
  }
}

TEST_CASE("closing a client does not affect another one") {
  test::Gate closed;
  MockDnsServer server{test::answer_after(closed, "n1.example")};
  test::LookupClient client{test::once_at(server)};
  test::LookupClient other{client, test::once_at(server)};
  auto answer = client.start(kQuestion);
  auto of_other = other.start(kQuestion);
  client.settle();
  CHECK(other.close());
  CHECK(outcome(test::await(std::move(of_other)).value()) == "closed");
  closed.open();
  CHECK(outcome(test::await(std::move(answer)).value()) == "ok");
  CHECK(outcome(client.ask(kQuestion)) == "ok");
}

TEST_CASE("client ids are never reused") {
  Resolver resolver;
  std::set<ClientId> ids;
  for (int i = 0; i < 100; ++i) {
    const auto id = resolver.open({});
    CHECK(ids.insert(id).second);
    CHECK(resolver.find(id));
    CHECK(resolver.close(id));
    CHECK_FALSE(resolver.find(id));
  }
  CHECK_FALSE(resolver.find(0));
  CHECK_FALSE(resolver.close(*ids.rbegin() + 1));
  LookupRequest request;
  request.waiter.receiver = std::make_unique<test::PromiseReceiver>(std::promise<test::Answer>{});
  CHECK(resolver.submit(*ids.rbegin() + 1, std::move(request)) == Error::kClosed);
}

TEST_CASE("a client keeps the options that it was opened with") {
  ClientOptions options;
  options.max_queue = 17;
  options.timeout = std::chrono::milliseconds{1234};
  test::LookupClient client{options};
  CHECK(client.find()->options.max_queue == 17);
  CHECK(client.find()->options.timeout == std::chrono::milliseconds{1234});
}

TEST_CASE("a client with too many open lookups rejects further ones at once") {
  test::Gate refused;
  MockDnsServer server{test::answer_after(refused, "n1.example")};
  auto options = test::once_at(server);
  options.max_inflight = 2;
  options.max_queue = GENERATE(std::size_t{0}, std::size_t{3});
  test::LookupClient client{options};
  test::LookupClient other{client, test::once_at(server)};
  auto answers = start(client, options.max_inflight + options.max_queue);
  CHECK(submit(client, kQuestion) == Error::kOverload);
  // An equal lookup would need no query, but it counts as open.
  CHECK(submit(client, question(0)) == Error::kOverload);
  CHECK(client.stats().failed(Error::kOverload) == 2);
  // Each client has its own limit.
  answers.push_back(other.start(kQuestion));
  CHECK(other.stats().failed(Error::kOverload) == 0);

  refused.open();
  for (auto& answer : answers) {
    CHECK(outcome(test::await(std::move(answer)).value()) == "ok");
  }
  client.settle();
  CHECK(outcome(client.ask(kQuestion)) == "ok");
}

TEST_CASE("the questions in flight to a nameserver are limited") {
  constexpr std::size_t kLimit = 4;
  MockDnsServer server{[](auto& exchange) {
    if (exchange.query().name == "probe.example") {
      exchange.reply(srv_reply_to(exchange.query(), "n1.example"));
    }
  }};
  auto options = test::once_at(server);
  options.max_inflight = kLimit;
  test::LookupClient client{options};
  const auto answers = start(client, 50);
  client.settle();
  CHECK(client.stats().in_flight == kLimit);
  CHECK(client.stats().queued == 50 - kLimit);
  // Datagrams keep their order on loopback: once this one is answered, the server has read all before it.
  test::LookupClient prober{test::once_at(server)};
  REQUIRE(outcome(prober.ask({"probe.example", RecordType::kSrv})) == "ok");
  CHECK(server.queries().size() == kLimit + 1);
}

TEST_CASE("one answer admits one waiting lookup") {
  MockDnsServer server{test::answer_with("n1.example")};
  auto options = test::once_at(server);
  options.max_inflight = 1;
  test::LookupClient client{options};
  auto answers = start(client, 20);
  for (auto& answer : answers) {
    CHECK(outcome(test::await(std::move(answer)).value()) == "ok");
  }
  // With one slot they come in order.
  const auto queries = server.queries();
  REQUIRE(queries.size() == 20);
  for (std::size_t i = 0; i < queries.size(); ++i) {
    CHECK(queries[i].name == question(i).name);
  }
}

}  // namespace
}  // namespace caravan
