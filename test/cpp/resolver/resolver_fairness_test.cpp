#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "catch.hpp"
#include "core/resolver/resolver.hpp"
#include "support/many_lookups.hpp"

// However busy one client is, the thread serves the others in between.
namespace caravan {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;

using test::at;
using test::MockDnsServer;
using test::numbered_question;

constexpr int kMany = 10'000;

// Calls a function with the answer, on the resolver's thread.
class OnAnswer final : public Receiver {
 public:
  explicit OnAnswer(std::function<void()> act) : act_{std::move(act)} {}

  Interest interest() const noexcept override { return Interest::kWaiting; }
  Interest deliver(const Reply&, std::unique_ptr<Rendering>*) noexcept override {
    act_();
    return Interest::kWaiting;
  }

 private:
  std::function<void()> act_;
};

// A busy client, and one that wants a single answer.
struct Neighbours {
  explicit Neighbours(ClientOptions options = {}) : busy{std::move(options)}, other{busy, {}} {}

  std::unique_ptr<Receiver> counted() {
    return std::make_unique<OnAnswer>([this] { ++answered; });
  }
  // With the first answer the other client asks. The test counts the answers until that one is answered.
  std::unique_ptr<Receiver> counted_first() {
    return std::make_unique<OnAnswer>([this] {
      if (++answered == 1) {
        ask_other();
      }
    });
  }
  void ask_other() {
    other.submit(LookupType::kAddresses, "127.0.0.1", {},
                 std::make_unique<OnAnswer>([this] { answered_before.set_value(answered); }));
  }
  int await_other() { return test::await(answered_before.get_future()); }

  std::atomic<int> answered{0};
  std::promise<int> answered_before;
  test::LookupClient busy;
  test::LookupClient other;
};

// Blocks the resolver's thread until the gate is open.
struct Blocked {
  explicit Blocked(test::LookupClient& client) {
    client.submit(LookupType::kAddresses, "127.0.0.1", {}, std::make_unique<OnAnswer>([this] {
                    entered.set_value();
                    gate.pass();
                  }));
    entered.get_future().wait();
  }

  std::promise<void> entered;
  test::Gate gate;
};

TEST_CASE("the requests of one resolver do not keep those of another one waiting") {
  Neighbours resolvers;
  Blocked thread{resolvers.busy};
  for (int i = 0; i < kMany; ++i) {
    resolvers.busy.submit(LookupType::kAddresses, "127.0.0.1", {}, resolvers.counted());
  }
  resolvers.ask_other();
  thread.gate.open();
  CHECK(resolvers.await_other() < kMany / 2);
}

TEST_CASE("an answer for many callers is delivered in parts") {
  test::Gate all_have_joined;
  MockDnsServer server{[&](auto& exchange) {
    auto reply = exchange.query().reply();
    for (int i = 0; i < 100; ++i) {
      reply.srv(test::question_pointer(), 30, 0, 0, 4370, "n1.example");
    }
    all_have_joined.pass();
    exchange.reply(reply);
  }};
  Neighbours resolvers{test::once_at(server)};
  resolvers.busy.submit(numbered_question(0), {}, resolvers.counted_first());
  for (int i = 0; i < kMany; ++i) {
    // No lookup has an earlier deadline than the one that it joins.
    resolvers.busy.submit(numbered_question(0), {}, resolvers.counted());
  }
  resolvers.busy.settle();
  all_have_joined.open();
  CHECK(resolvers.await_other() < kMany / 2);
}

TEST_CASE("the lookups of a closed resolver end in parts") {
  MockDnsServer silent{test::say_nothing};
  auto options = test::once_at(silent);
  Neighbours resolvers{options};
  for (int i = 0; i < kMany; ++i) {
    resolvers.busy.submit(numbered_question(i), {}, resolvers.counted_first());
  }
  resolvers.busy.settle();
  resolvers.busy.close();
  CHECK(resolvers.await_other() < kMany / 2);
}

TEST_CASE("lookups that time out together do so in parts") {
  MockDnsServer silent{test::say_nothing};
  Neighbours resolvers;
  const auto lookup = at(Transport::kUdp, milliseconds{500}, silent);
  std::promise<void> first_is_out;
  test::Gate all_are_out;
  resolvers.busy.submit(numbered_question(0), lookup, std::make_unique<OnAnswer>([&] {
                          first_is_out.set_value();
                          all_are_out.pass();
                          resolvers.ask_other();
                        }));
  for (int i = 1; i < kMany; ++i) {
    resolvers.busy.submit(numbered_question(i), lookup, resolvers.counted());
  }
  const auto last_deadline = std::chrono::steady_clock::now() + milliseconds{500};
  first_is_out.get_future().wait();
  std::this_thread::sleep_until(last_deadline);
  all_are_out.open();
  CHECK(resolvers.await_other() < kMany / 2);
}

// The second lookup would time out before the first one, which has no caller, asks again.
TEST_CASE("a lookup without a caller frees its slot at once") {
  MockDnsServer server{[](auto& exchange) {
    if (exchange.query().name == numbered_question(1).name) {
      exchange.reply(test::srv_reply_to(exchange.query(), "n1.example"));
    }
  }};
  auto options = test::once_at(server);
  options.max_inflight = 1;
  test::LookupClient client{std::move(options)};
  const auto waiting = std::make_shared<std::atomic<bool>>(true);
  auto first = client.start(numbered_question(0), {}, waiting);
  while (server.queries().empty()) {
    std::this_thread::yield();
  }
  auto second = client.start(numbered_question(1), {{}, {}, milliseconds{600}, {}});
  client.settle();
  *waiting = false;
  CHECK_FALSE(test::await(std::move(second)).value().error);
  CHECK_FALSE(test::await(std::move(first)));
}

TEST_CASE("a resolver that is released while it is busy is dropped completely") {
  test::LookupClient other;
  Blocked thread{other};
  std::atomic<int> answered{0};
  std::weak_ptr<const Client> released;
  {
    test::LookupClient client{other, {}};
    released = client.find();
    for (int i = 0; i < 1000; ++i) {
      client.submit(LookupType::kAddresses, "127.0.0.1", {}, std::make_unique<OnAnswer>([&] { ++answered; }));
    }
    client.release();
  }
  thread.gate.open();
  other.settle();
  CHECK(answered == 1000);
  CHECK(released.expired());
}

}  // namespace
}  // namespace caravan
