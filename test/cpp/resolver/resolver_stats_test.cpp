#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "catch.hpp"
#include "core/resolver/resolver.hpp"
#include "support/handlers.hpp"
#include "support/lookup_client.hpp"
#include "support/reply_text.hpp"

// The statistics, during lookups and after they have ended.
namespace caravan {
namespace {

using std::chrono::milliseconds;

using test::MockDnsServer;
using test::outcome;
using Listen = MockDnsServer::Listen;

const Question kQuestion{"app.example", RecordType::kSrv};

std::uint64_t recorded(const Stats& stats) {
  std::uint64_t sum = 0;
  for (std::size_t bucket = 0; bucket < LatencyHistogram::kBuckets; ++bucket) {
    sum += stats.latency.count(bucket);
  }
  return sum;
}

// What a lookup of kQuestion adds to the statistics.
struct Counted {
  explicit Counted(ClientOptions options) : client{std::move(options)} {
    how = outcome(client.ask(kQuestion));
    client.settle();
  }
  std::uint64_t get(Counter counter) const { return client.stats().get(counter); }

  test::LookupClient client;
  std::string how;
};

// Errors that come at once, and after which another attempt may follow. FORMERR to a question with EDNS is different:
// it leads to a question without EDNS.
ClientOptions without_edns(ClientOptions options) {
  options.edns_size = 0;
  return options;
}

TEST_CASE("a lookup that is answered at once is one query and nothing else") {
  MockDnsServer server{test::answer_with("n1.example")};
  const Counted counted{test::once_at(server)};
  REQUIRE(counted.how == "ok");
  for (const auto& info : kCounters) {
    CAPTURE(info.name);
    CHECK(counted.get(info.code) == (info.code == Counter::kQueries ? 1U : 0U));
  }
  CHECK(counted.client.stats().answered() == 1);
  CHECK(recorded(counted.client.stats()) == 1);
}

TEST_CASE("queries after one that brought nothing are retries") {
  MockDnsServer server{test::fail_with(1)};
  auto options = without_edns(test::once_at(server));
  options.tries = 4;
  const Counted counted{options};
  REQUIRE(counted.how == "formerr");
  CHECK(counted.get(Counter::kQueries) == 4);
  CHECK(counted.get(Counter::kRetries) == 3);
}

TEST_CASE("a failure without another query is no retry") {
  MockDnsServer server{test::fail_with(2)};
  const Counted counted{test::once_at(server)};
  REQUIRE(counted.how == "servfail");
  CHECK(counted.get(Counter::kQueries) == 1);
  CHECK(counted.get(Counter::kRetries) == 0);
}

TEST_CASE("waiting for an answer without asking again is no retry") {
  MockDnsServer silent{test::say_nothing};
  auto options = test::once_at(silent);
  // Longer than the time before another attempt would be made.
  options.timeout = milliseconds{1500};
  const Counted counted{options};
  REQUIRE(counted.how == "timeout");
  CHECK(counted.get(Counter::kQueries) == 1);
  CHECK(counted.get(Counter::kRetries) == 0);
}

TEST_CASE("asking the next nameserver is a retry") {
  MockDnsServer first{test::fail_with(5)};
  MockDnsServer second{test::answer_with("n2.example")};
  const Counted counted{test::once_at(first, second)};
  REQUIRE(counted.how == "ok");
  CHECK(counted.get(Counter::kQueries) == 2);
  CHECK(counted.get(Counter::kRetries) == 1);
}

TEST_CASE("asking again over TCP for what was truncated is a fallback and no retry") {
  MockDnsServer server{test::truncate_over_udp("cut.example", test::answer_with("n1.example"))};
  const Counted counted{test::once_at(server)};
  REQUIRE(counted.how == "ok");
  CHECK(counted.get(Counter::kQueries) == 2);
  CHECK(counted.get(Counter::kTcpFallbacks) == 1);
  CHECK(counted.get(Counter::kRetries) == 0);
}

TEST_CASE("every outcome is counted under its name") {
  struct Case {
    MockDnsServer::Handler handler;
    Listen listen;
    std::optional<Error> error;
  };
  const auto [handler, listen, error] = GENERATE(values<Case>({
      {test::answer_with("n1.example"), Listen::kUdpAndTcp, std::nullopt},
      {test::fail_with(0), Listen::kUdpAndTcp, Error::kNodata},
      {test::fail_with(1), Listen::kUdpAndTcp, Error::kFormerr},
      {test::fail_with(2), Listen::kUdpAndTcp, Error::kServfail},
      {test::fail_with(3), Listen::kUdpAndTcp, Error::kNxdomain},
      {test::fail_with(4), Listen::kUdpAndTcp, Error::kNotimp},
      {test::fail_with(5), Listen::kUdpAndTcp, Error::kRefused},
      {test::say_nothing, Listen::kNothing, Error::kConnrefused},
      {test::say_nothing, Listen::kUdpAndTcp, Error::kTimeout},
  }));
  MockDnsServer server{handler, listen};
  auto options = test::once_at(server);
  options.timeout = error == Error::kTimeout ? milliseconds{20} : test::kHangGuard;
  const Counted counted{options};
  CAPTURE(counted.how);
  CHECK(counted.client.stats().answered() == (error ? 0U : 1U));
  for (const auto& info : kErrors) {
    CHECK(counted.client.stats().failed(info.code) == (error == info.code ? 1U : 0U));
  }
  CHECK(recorded(counted.client.stats()) == 1);
}

// A caller that has died.
class Dead final : public Receiver {
 public:
  explicit Dead(std::promise<void> buried) : buried_{std::move(buried)} {}
  ~Dead() override { buried_.set_value(); }
  Dead(const Dead&) = delete;
  Dead& operator=(const Dead&) = delete;

  Interest interest() const noexcept override { return Interest::kGone; }
  Interest deliver(const Reply&, std::unique_ptr<Rendering>*) noexcept override { return Interest::kGone; }

 private:
  std::promise<void> buried_;
};

TEST_CASE("a lookup whose caller has died is abandoned and no outcome") {
  MockDnsServer server{test::answer_with("n1.example")};
  test::LookupClient client{test::once_at(server)};
  std::promise<void> promise;
  auto buried = promise.get_future();
  REQUIRE_FALSE(client.submit(kQuestion, {}, std::make_unique<Dead>(std::move(promise))));
  test::await(std::move(buried));
  client.settle();
  CHECK(client.stats().get(Counter::kAbandoned) == 1);
  CHECK(client.stats().answered() == 0);
  for (const auto& info : kErrors) {
    CHECK(client.stats().failed(info.code) == 0);
  }
  CHECK(recorded(client.stats()) == 0);
  CHECK(server.queries().empty());
}

TEST_CASE("a lookup that was cancelled is counted as such and has no latency") {
  MockDnsServer server{test::answer_with("n1.example")};
  test::LookupClient client{test::once_at(server)};
  const auto waiting = std::make_shared<std::atomic<bool>>(false);
  CHECK_FALSE(test::await(client.start(kQuestion, {}, waiting)));
  client.settle();
  CHECK(client.stats().failed(Error::kCancelled) == 1);
  CHECK(client.stats().get(Counter::kAbandoned) == 0);
  CHECK(recorded(client.stats()) == 0);
}

TEST_CASE("lookups in flight and queued are counted and none is left in the end") {
  test::Gate gate;
  MockDnsServer server{test::answer_after(gate, "n1.example")};
  auto options = test::once_at(server);
  options.max_inflight = 5;
  test::LookupClient client{options};
  std::vector<std::future<test::Answer>> answers;
  for (int i = 0; i < 12; ++i) {
    answers.push_back(client.start({"app" + std::to_string(i) + ".example", RecordType::kSrv}));
  }
  client.settle();
  CHECK(client.stats().in_flight == 5);
  CHECK(client.stats().queued == 7);
  gate.open();
  for (auto& answer : answers) {
    CHECK(outcome(test::await(std::move(answer)).value()) == "ok");
  }
  client.settle();
  CHECK(client.stats().in_flight == 0);
  CHECK(client.stats().queued == 0);
}

TEST_CASE("lookups that are never sent do not stay in the counts") {
  auto options = ClientOptions{};
  options.nameservers = std::make_shared<const Nameservers>();
  test::LookupClient client{options};
  CHECK(outcome(client.ask(kQuestion)) == "connrefused");
  client.settle();
  CHECK(client.stats().in_flight == 0);
  CHECK(client.stats().queued == 0);
  CHECK(client.stats().get(Counter::kQueries) == 0);
}

TEST_CASE("every client has its own statistics") {
  MockDnsServer server{test::answer_with("n1.example")};
  test::LookupClient client{test::once_at(server)};
  test::LookupClient other{client, test::once_at(server)};
  client.ask(kQuestion);
  client.settle();
  CHECK(client.stats().get(Counter::kQueries) == 1);
  CHECK(other.stats().get(Counter::kQueries) == 0);
  CHECK(other.stats().answered() == 0);
}

TEST_CASE("after a second of silence the question is asked over another channel") {
  const auto transport = GENERATE(Transport::kUdp, Transport::kTcp);
  MockDnsServer server{[asked = 0](auto& exchange) mutable {
    if (++asked > 1) {
      exchange.reply(srv_reply_to(exchange.query(), "n1.example"));
    }
  }};
  auto options = test::once_at(server);
  options.transport = transport;
  options.tries = 3;
  const Counted counted{options};
  CHECK(counted.how == "ok");
  CHECK(counted.get(Counter::kChannelRebuilds) == 1);
  CHECK(counted.get(Counter::kRetries) == 1);
  if (transport == Transport::kUdp) {
    const auto queries = server.queries();
    CHECK(queries.at(0).client_port != queries.at(1).client_port);
  }
}

}  // namespace
}  // namespace caravan
