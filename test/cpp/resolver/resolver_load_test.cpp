#include <atomic>
#include <future>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "catch.hpp"
#include "core/resolver/resolver.hpp"
#include "support/handlers.hpp"
#include "support/lookup_client.hpp"
#include "support/many_lookups.hpp"
#include "support/reply_text.hpp"

// Many concurrent lookups.
namespace caravan {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;

using test::at;
using test::MockDnsServer;
using test::outcome;

const Question kQuestion{"app.example", RecordType::kSrv};

ClientOptions limits(std::size_t max_inflight, std::size_t max_queue) {
  ClientOptions options;
  options.max_inflight = max_inflight;
  options.max_queue = max_queue;
  return options;
}

TEST_CASE("two thousand concurrent lookups all get their own answers") {
  test::LookupClient client;
  const auto transport = GENERATE(Transport::kUdp, Transport::kTcp, Transport::kTcpFirst);
  MockDnsServer server{test::echo};
  test::check_own_answers(test::start_many(client, 2000, at(transport, minutes{1}, server)));
}

// Many nameservers do this; Consul's DNS library does after 128 questions. If it has unread questions then, the
// connection is reset, and answers in transit are lost too.
MockDnsServer::Handler close_after(int questions) {
  return [questions, asked = 0](auto& exchange) mutable {
    test::echo(exchange);
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

TEST_CASE("lookups at once at a server that closes its connection after every answer are all answered") {
  test::LookupClient client;
  MockDnsServer server{close_after(1)};
  test::check_own_answers(test::start_many(client, 100, at(Transport::kTcp, minutes{1}, server)));
}

TEST_CASE("a connection that is closed while it is idle costs no try") {
  MockDnsServer server{close_after(1)};
  auto options = test::once_at(server);
  options.transport = Transport::kTcp;
  test::LookupClient client{options};
  for (int i = 0; i < 50; ++i) {
    REQUIRE(outcome(client.ask(kQuestion)) == "ok");
  }
}

TEST_CASE("questions that come one after another go over one connection") {
  MockDnsServer server{test::echo};
  test::LookupClient client;
  const auto transport = GENERATE(Transport::kTcp, Transport::kTcpFirst);
  for (int i = 0; i < 10; ++i) {
    REQUIRE(outcome(client.ask(kQuestion, at(transport, server))) == "ok");
  }
  std::set<std::uint16_t> ports;
  for (const auto& query : server.queries()) {
    ports.insert(query.client_port);
  }
  CHECK(ports.size() == 1);
}

TEST_CASE("a server that closes its connections now and then loses no lookup") {
  test::LookupClient client;
  MockDnsServer server{close_after(128)};
  test::check_own_answers(test::start_many(client, 2000, at(Transport::kTcp, minutes{1}, server)));
}

// Counts the lookups that end with kClosed.
class ClosedCounter final : public Receiver {
 public:
  ClosedCounter(std::atomic<std::size_t>& closed, const std::atomic<bool>& waiting)
      : closed_{closed}, waiting_{waiting} {}

  Interest interest() const noexcept override { return waiting_ ? Interest::kWaiting : Interest::kCancelled; }
  Interest deliver(const Reply& reply, std::unique_ptr<Rendering>*) noexcept override {
    closed_ += reply.error == Error::kClosed ? 1U : 0U;
    return interest();
  }

 private:
  std::atomic<std::size_t>& closed_;
  const std::atomic<bool>& waiting_;
};

// A client with as many open lookups as it may have, at a server that is silent until the gate opens.
struct FullResolver {
  static constexpr std::size_t kMaxInflight = 64;
  static constexpr std::size_t kMaxOpen = 10'000;

  FullResolver() {
    for (std::size_t i = 0; i < kMaxOpen; ++i) {
      taken += submit() ? 0U : 1U;
    }
  }
  std::optional<Error> submit() {
    return client.submit(test::numbered_question(asked++), options, std::make_unique<ClosedCounter>(closed, waiting));
  }

  std::atomic<std::size_t> closed{0};
  std::atomic<bool> waiting{true};
  int asked = 0;
  std::size_t taken = 0;
  test::Gate answers;
  MockDnsServer server{[this](auto& exchange) {
    answers.pass();
    test::echo(exchange);
  }};
  LookupOptions options = at(Transport::kUdp, minutes{10}, server);
  test::LookupClient client{limits(kMaxInflight, kMaxOpen - kMaxInflight)};
};

TEST_CASE("a resolver with too many open lookups rejects further ones and loses none") {
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
  // More than may be in flight.
  const auto stuck = test::start_many(client, 200, at(Transport::kUdp, minutes{1}, silent));
  CHECK(outcome(client.ask(kQuestion, at(Transport::kUdp, milliseconds{1000}, server))) == "ok");
}

}  // namespace
}  // namespace caravan
