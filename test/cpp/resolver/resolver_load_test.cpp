#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "catch.hpp"
#include "core/resolver/resolver.hpp"
#include "support/handlers.hpp"
#include "support/lookup_client.hpp"
#include "support/reply_text.hpp"

// Many lookups at once.
namespace caravan {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;

using test::at;
using test::Lines;
using test::MockDnsServer;
using test::outcome;
using test::srv_lines;

const Question kQuestion{"app.example", RecordType::kSrv};

// Equal ones would share a query.
Question question(int number) { return {"app" + std::to_string(number) + ".example", RecordType::kSrv}; }

ClientOptions limits(std::size_t max_inflight, std::size_t max_queue) {
  ClientOptions options;
  options.max_inflight = max_inflight;
  options.max_queue = max_queue;
  return options;
}

// Starts so many lookups, each of another name, which the server is to give back as the target.
std::vector<std::future<test::Answer>> start_many(test::LookupClient& client, int count, const LookupOptions& options) {
  std::vector<std::future<test::Answer>> answers;
  for (int i = 0; i < count; ++i) {
    answers.push_back(client.start(question(i), options));
  }
  return answers;
}

void check_own_answers(std::vector<std::future<test::Answer>> answers) {
  int number = 0;
  for (auto& answer : answers) {
    const auto name = "app" + std::to_string(number++) + ".example";
    CAPTURE(name);
    const auto reply = test::await(std::move(answer)).value();
    REQUIRE(outcome(reply) == "ok");
    REQUIRE(srv_lines(reply) == Lines{"0 0 4370 " + name + " 30"});
  }
}

void echo(MockDnsServer::Exchange& exchange) { exchange.reply(srv_reply_to(exchange.query(), exchange.query().name)); }

TEST_CASE("two thousand lookups at once are all answered and each with its own answer") {
  test::LookupClient client;
  const auto transport = GENERATE(Transport::kUdp, Transport::kTcp, Transport::kTcpFirst);
  MockDnsServer server{echo};
  check_own_answers(start_many(client, 2000, at(transport, minutes{1}, server)));
}

// Many do, Consul's DNS library among them after 128 questions; what it has not read then takes the answers before it
// along, as the connection is reset.
MockDnsServer::Handler close_after(int questions) {
  return [questions, asked = 0](auto& exchange) mutable {
    echo(exchange);
    if (exchange.query().tcp && ++asked % questions == 0) {
      exchange.close();
    }
  };
}

TEST_CASE("a server that closes its connection after every answer is asked over another one") {
  test::LookupClient client;
  MockDnsServer server{close_after(1)};
  for (int i = 0; i < 50; ++i) {
    const auto reply = client.ask(kQuestion, at(Transport::kTcpFirst, server));
    REQUIRE(outcome(reply) == "ok");
    CHECK(reply.complete);
  }
}

TEST_CASE("a server that closes its connections now and then loses no lookup") {
  test::LookupClient client;
  MockDnsServer server{close_after(128)};
  check_own_answers(start_many(client, 2000, at(Transport::kTcp, minutes{1}, server)));
}

// Counts the lookups that the end of the resolver ends.
class ClosedCounter final : public Receiver {
 public:
  ClosedCounter(std::atomic<std::size_t>& closed, const std::atomic<bool>& waiting)
      : closed_{closed}, waiting_{waiting} {}

  Interest interest() const noexcept override { return waiting_ ? Interest::kWaiting : Interest::kCancelled; }
  Interest deliver(const Reply& reply) noexcept override {
    closed_ += reply.error == Error::kClosed ? 1U : 0U;
    return interest();
  }

 private:
  std::atomic<std::size_t>& closed_;
  const std::atomic<bool>& waiting_;
};

// A resolver whose lookups are as many as it takes, at a server that is silent until told otherwise.
struct FullResolver {
  static constexpr std::size_t kMaxInflight = 64;
  static constexpr std::size_t kMaxOpen = 10'000;

  FullResolver() {
    for (std::size_t i = 0; i < kMaxOpen; ++i) {
      taken += submit() ? 0U : 1U;
    }
  }
  std::optional<Error> submit() {
    return client.submit(question(asked++), options, std::make_unique<ClosedCounter>(closed, waiting));
  }

  std::atomic<std::size_t> closed{0};
  std::atomic<bool> waiting{true};
  int asked = 0;
  std::size_t taken = 0;
  test::Gate answers;
  MockDnsServer server{[this](auto& exchange) {
    answers.pass();
    echo(exchange);
  }};
  LookupOptions options = at(Transport::kUdp, minutes{10}, server);
  test::LookupClient client{limits(kMaxInflight, kMaxOpen - kMaxInflight)};
};

TEST_CASE("a resolver with too many open lookups takes no more and forgets none") {
  FullResolver full;
  CHECK(full.taken == FullResolver::kMaxOpen);
  CHECK(full.submit() == Error::kOverload);
  full.client.destroy_resolver();
  CHECK(full.closed == FullResolver::kMaxOpen);
  full.answers.open();
}

TEST_CASE("lookups that have ended make room for others") {
  FullResolver full;
  full.waiting = false;
  full.answers.open();
  std::future<test::Answer> answer;
  const auto give_up = std::chrono::steady_clock::now() + test::kHangGuard;
  std::optional<Error> refused;
  do {
    std::promise<test::Answer> promise;
    answer = promise.get_future();
    refused = full.client.submit(kQuestion, full.options, std::make_unique<test::PromiseReceiver>(std::move(promise)));
  } while (refused && std::chrono::steady_clock::now() < give_up);
  REQUIRE_FALSE(refused);
  CHECK(outcome(test::await(std::move(answer)).value()) == "ok");
}

TEST_CASE("lookups at a silent server do not keep others from being asked") {
  test::LookupClient client;
  MockDnsServer silent{test::say_nothing};
  MockDnsServer server{test::answer_with("n1.example")};
  // More than may be on the wire.
  const auto stuck = start_many(client, 200, at(Transport::kUdp, minutes{1}, silent));
  CHECK(outcome(client.ask(kQuestion, at(Transport::kUdp, milliseconds{1000}, server))) == "ok");
}

}  // namespace
}  // namespace caravan
