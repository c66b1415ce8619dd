#include <future>
#include <string>
#include <vector>

#include "catch.hpp"
#include "core/resolver/resolver.hpp"
#include "support/handlers.hpp"
#include "support/lookup_client.hpp"
#include "support/reply_text.hpp"

// Equal questions that are open at the same time share one query.
namespace caravan {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

using test::at;
using test::Lines;
using test::MockDnsServer;
using test::outcome;
using test::srv_lines;

const Question kQuestion{"app.example", RecordType::kSrv};

// A server that holds every answer back until all questions are asked, and a client that asks it.
struct Held {
  // Which lookups share a query is decided by then, so the test does not depend on time.
  void release() {
    client.settle();
    gate.open();
  }
  std::future<test::Answer> start(Question question, LookupOptions options = {},
                                  test::PromiseReceiver::Waiting waiting = nullptr) {
    return client.start(std::move(question), std::move(options), std::move(waiting));
  }
  static LookupOptions with_timeout(milliseconds timeout) {
    LookupOptions options;
    options.timeout = timeout;
    return options;
  }
  std::uint64_t coalesced() const { return client.stats().get(Counter::kCoalesced); }

  test::Gate gate;
  MockDnsServer server{test::answer_after(gate, "n1.example")};
  test::LookupClient client{test::once_at(server)};
};

TEST_CASE("equal questions share one query and its answer") {
  constexpr std::size_t kLookups = 50;
  Held held;
  std::vector<std::future<test::Answer>> answers;
  for (std::size_t i = 0; i < kLookups; ++i) {
    answers.push_back(held.start(kQuestion));
  }
  held.release();
  for (auto& answer : answers) {
    CHECK(srv_lines(test::await(std::move(answer)).value()) == Lines{"0 0 4370 n1.example 30"});
  }
  CHECK(held.server.queries().size() == 1);
  CHECK(held.coalesced() == kLookups - 1);
  held.client.settle();
  CHECK(held.client.stats().answered() == kLookups);
  CHECK(held.client.stats().get(Counter::kQueries) == 1);
}

TEST_CASE("questions in another case are equal") {
  Held held;
  auto lower = held.start(kQuestion);
  auto upper = held.start({"APP.example", RecordType::kSrv});
  held.release();
  CHECK(outcome(test::await(std::move(lower)).value()) == "ok");
  CHECK(outcome(test::await(std::move(upper)).value()) == "ok");
  CHECK(held.server.queries().size() == 1);
}

TEST_CASE("only open lookups are joined") {
  MockDnsServer server{test::answer_with("n1.example")};
  test::LookupClient client{test::once_at(server)};
  client.ask(kQuestion);
  client.ask(kQuestion);
  CHECK(server.queries().size() == 2);
  CHECK(client.stats().get(Counter::kCoalesced) == 0);
}

TEST_CASE("questions of another name or type or transport or of other servers are not equal") {
  Held held;
  MockDnsServer other{test::answer_with("n2.example")};
  std::vector<std::future<test::Answer>> answers;
  answers.push_back(held.start(kQuestion));
  answers.push_back(held.start({"other.example", RecordType::kSrv}));
  // The search list applies to this one.
  answers.push_back(held.start({"app.example.", RecordType::kSrv}));
  answers.push_back(held.start({"app.example", RecordType::kA}));
  answers.push_back(held.start({"app.example", RecordType::kAaaa}));
  answers.push_back(held.start(kQuestion, at(Transport::kTcp, test::kHangGuard, held.server)));
  answers.push_back(held.start(kQuestion, at(Transport::kUdp, test::kHangGuard, other)));
  held.release();
  for (auto& answer : answers) {
    test::await(std::move(answer));
  }
  CHECK(held.server.queries().size() == 6);
  CHECK(other.queries().size() == 1);
  CHECK(held.coalesced() == 0);
}

TEST_CASE("two clients share nothing") {
  Held held;
  test::LookupClient other{held.client, test::once_at(held.server)};
  auto first = held.start(kQuestion);
  auto second = other.start(kQuestion);
  held.release();
  CHECK(outcome(test::await(std::move(first)).value()) == "ok");
  CHECK(outcome(test::await(std::move(second)).value()) == "ok");
  CHECK(held.server.queries().size() == 2);
}

TEST_CASE("a failure is shared too") {
  test::Gate gate;
  MockDnsServer server{[&](auto& exchange) {
    gate.pass();
    exchange.reply(exchange.query().reply().rcode(2));
  }};
  test::LookupClient client{test::once_at(server)};
  auto first = client.start(kQuestion);
  auto second = client.start(kQuestion);
  client.settle();
  gate.open();
  CHECK(outcome(test::await(std::move(first)).value()) == "servfail");
  CHECK(outcome(test::await(std::move(second)).value()) == "servfail");
  CHECK(server.queries().size() == 1);
}

TEST_CASE("a lookup joins only one with an earlier deadline") {
  Held held;
  auto first = held.start(kQuestion, Held::with_timeout(seconds{40}));
  auto hasty = held.start(kQuestion, Held::with_timeout(seconds{30}));
  auto patient = held.start(kQuestion, Held::with_timeout(seconds{50}));
  held.release();
  for (auto* answer : {&first, &hasty, &patient}) {
    CHECK(outcome(test::await(std::move(*answer)).value()) == "ok");
  }
  CHECK(held.server.queries().size() == 2);
  CHECK(held.coalesced() == 1);
}

TEST_CASE("a lookup with an earlier deadline times out alone") {
  Held held;
  auto first = held.start(kQuestion);
  auto hasty = held.start(kQuestion, Held::with_timeout(milliseconds{20}));
  CHECK(outcome(test::await(std::move(hasty)).value()) == "timeout");
  held.release();
  CHECK(outcome(test::await(std::move(first)).value()) == "ok");
}

TEST_CASE("when the first caller times out, one with more time is still answered") {
  // The first question is lost.
  MockDnsServer server{[asked = 0](auto& exchange) mutable {
    if (++asked > 1) {
      exchange.reply(srv_reply_to(exchange.query(), "n1.example"));
    }
  }};
  test::LookupClient client{test::once_at(server)};
  auto first = client.start(kQuestion, Held::with_timeout(milliseconds{300}));
  std::vector<std::future<test::Answer>> others;
  for (int i = 0; i < 3; ++i) {
    others.push_back(client.start(kQuestion));
  }
  CHECK(outcome(test::await(std::move(first)).value()) == "timeout");
  for (auto& other : others) {
    CHECK(outcome(test::await(std::move(other)).value()) == "ok");
  }
  CHECK(server.queries().size() == 2);
}

TEST_CASE("when the first caller cancels, the others are answered") {
  Held held;
  const auto waiting = std::make_shared<std::atomic<bool>>(true);
  auto first = held.start(kQuestion, {}, waiting);
  auto second = held.start(kQuestion);
  *waiting = false;
  held.release();
  CHECK_FALSE(test::await(std::move(first)));
  CHECK(outcome(test::await(std::move(second)).value()) == "ok");
  held.client.settle();
  CHECK(held.client.stats().failed(Error::kCancelled) == 1);
  CHECK(held.client.stats().answered() == 1);
}

TEST_CASE("a query is repeated as long as one caller waits") {
  test::Gate gate;
  MockDnsServer server{[&, asked = 0](auto& exchange) mutable {
    if (++asked == 1) {
      gate.pass();
      exchange.reply(exchange.query().reply().rcode(1));
    } else {
      exchange.reply(srv_reply_to(exchange.query(), "n1.example"));
    }
  }};
  auto options = test::once_at(server);
  options.tries = 2;
  // FORMERR to a question with EDNS only means that the server lacks EDNS.
  options.edns_size = 0;
  test::LookupClient client{options};
  const auto first_waits = std::make_shared<std::atomic<bool>>(true);
  auto first = client.start(kQuestion, {}, first_waits);
  auto second = client.start(kQuestion);
  client.settle();
  *first_waits = false;
  gate.open();
  CHECK_FALSE(test::await(std::move(first)));
  CHECK(outcome(test::await(std::move(second)).value()) == "ok");
  CHECK(server.queries().size() == 2);
}

TEST_CASE("each caller has the order of records that it wants") {
  test::Gate gate;
  MockDnsServer server{[&](auto& exchange) {
    gate.pass();
    const auto& query = exchange.query();
    exchange.reply(
        query.reply().srv(query.name, 30, 2, 0, 4370, "n2.example").srv(query.name, 30, 1, 0, 4370, "n1.example"));
  }};
  test::LookupClient client{test::once_at(server)};
  LookupOptions by_priority;
  by_priority.srv_order = true;
  auto as_sent = client.start(kQuestion);
  auto ordered = client.start(kQuestion, by_priority);
  client.settle();
  gate.open();
  CHECK(srv_lines(test::await(std::move(as_sent)).value()) ==
        Lines{"2 0 4370 n2.example 30", "1 0 4370 n1.example 30"});
  CHECK(srv_lines(test::await(std::move(ordered)).value()) ==
        Lines{"1 0 4370 n1.example 30", "2 0 4370 n2.example 30"});
  CHECK(server.queries().size() == 1);
}

}  // namespace
}  // namespace caravan
