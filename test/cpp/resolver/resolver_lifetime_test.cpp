#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "core/resolver/resolver.hpp"
#include "support/handlers.hpp"
#include "support/lookup_client.hpp"
#include "support/reply_text.hpp"

// Callers and resolvers that end: every caller gets an answer, and none gets two.
namespace caravan {
namespace {

using std::chrono::minutes;

using test::at;
using test::Lines;
using test::MockDnsServer;
using test::outcome;

const Question kQuestion{"app.example", RecordType::kSrv};

// Equal lookups would share a query.
Question question(int number) { return {"app" + std::to_string(number) + ".example", RecordType::kSrv}; }

std::shared_ptr<std::atomic<bool>> waiting(bool now) { return std::make_shared<std::atomic<bool>>(now); }

TEST_CASE("no question is asked for a receiver that does not wait") {
  test::LookupClient client;
  MockDnsServer server{test::answer_with("n1.example")};
  CHECK_FALSE(test::await(client.start(kQuestion, at(Transport::kUdp, server), waiting(false))));
  CHECK(server.queries().empty());
}

TEST_CASE("a lookup without a caller is not retried") {
  test::LookupClient client;
  const auto still_waiting = waiting(true);
  MockDnsServer server{[&](auto&) { *still_waiting = false; }};
  CHECK_FALSE(test::await(client.start(kQuestion, at(Transport::kUdp, minutes{10}, server), still_waiting)));
  CHECK(server.transports() == Lines{"udp"});
}

TEST_CASE("a receiver that has stopped waiting does not get the answer") {
  test::LookupClient client;
  test::Gate cancelled;
  MockDnsServer server{test::answer_after(cancelled, "n1.example")};
  const auto still_waiting = waiting(true);
  auto answer = client.start(kQuestion, at(Transport::kUdp, minutes{1}, server), still_waiting);
  *still_waiting = false;
  cancelled.open();
  CHECK_FALSE(test::await(std::move(answer)));
}

// Records the thread that delivers the answer.
class ThreadWitness final : public Receiver {
 public:
  struct Thread {
    std::thread::id id;
    std::vector<int> open_signals;
  };

  explicit ThreadWitness(std::promise<Thread> promise) : promise_{std::move(promise)} {}

  Interest interest() const noexcept override { return Interest::kWaiting; }
  Interest deliver(const Reply& /*reply*/, std::unique_ptr<Rendering>*) noexcept override {
    sigset_t blocked;
    ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
    Thread thread{std::this_thread::get_id(), {}};
    for (const int signal : {SIGHUP, SIGINT, SIGTERM, SIGCHLD, SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM, SIGPROF}) {
      if (::sigismember(&blocked, signal) == 0) {
        thread.open_signals.push_back(signal);
      }
    }
    promise_.set_value(thread);
    return Interest::kWaiting;
  }

 private:
  std::promise<Thread> promise_;
};

ThreadWitness::Thread thread_of(test::LookupClient& client) {
  std::promise<ThreadWitness::Thread> promise;
  auto thread = promise.get_future();
  REQUIRE_FALSE(
      client.submit(LookupType::kAddresses, "127.0.0.1", {}, std::make_unique<ThreadWitness>(std::move(promise))));
  return test::await(std::move(thread));
}

TEST_CASE("one thread answers all clients and takes no signal") {
  test::LookupClient client;
  test::LookupClient other{client, {}};
  const auto thread = thread_of(client);
  CHECK(thread.open_signals.empty());
  CHECK(thread.id != std::this_thread::get_id());
  CHECK(thread_of(other).id == thread.id);
}

TEST_CASE("a resolver that was never used can be destroyed") {
  test::LookupClient client;
  client.destroy_resolver();
  SUCCEED();
}

// The owner of a resolver, with what its thread uses until it ends.
struct Owner {
  CaresLibrary cares;
  Resolver resolver;
};

// Blocks the thread that delivers the answer.
class Keeper final : public Receiver {
 public:
  Keeper(std::promise<void>& entered, const test::Gate& gate) : entered_{entered}, gate_{gate} {}

  Interest interest() const noexcept override { return Interest::kWaiting; }
  Interest deliver(const Reply& /*reply*/, std::unique_ptr<Rendering>* /*shared*/) noexcept override {
    entered_.set_value();
    gate_.pass();
    return Interest::kWaiting;
  }

 private:
  std::promise<void>& entered_;
  const test::Gate& gate_;
};

LookupRequest literal(std::unique_ptr<Receiver> receiver) {
  LookupRequest request{LookupType::kAddresses, "127.0.0.1", {}, {}};
  request.waiter.receiver = std::move(receiver);
  return request;
}

TEST_CASE("a thread that cannot end in time is detached and owns what it uses") {
  std::promise<void> entered;
  test::Gate gate;
  std::promise<test::Answer> late;
  auto late_answer = late.get_future();
  auto owner = std::make_shared<Owner>();
  const std::weak_ptr<Owner> left = owner;
  auto& resolver = owner->resolver;
  const auto client = resolver.open({});
  REQUIRE_FALSE(resolver.submit(client, literal(std::make_unique<Keeper>(entered, gate))));
  entered.get_future().wait();
  REQUIRE_FALSE(resolver.submit(client, literal(std::make_unique<test::PromiseReceiver>(std::move(late)))));
  CHECK_FALSE(resolver.stop(std::chrono::milliseconds{1}));
  CHECK(resolver.submit(client, literal(std::make_unique<test::PromiseReceiver>(std::promise<test::Answer>{}))) ==
        Error::kClosed);
  resolver.detach(std::move(owner));
  CHECK_FALSE(left.expired());
  gate.open();
  CHECK(outcome(test::await(std::move(late_answer)).value()) == "closed");
  while (!left.expired()) {
    std::this_thread::yield();
  }
}

TEST_CASE("a thread that has ended is not detached") {
  auto owner = std::make_shared<Owner>();
  auto& resolver = owner->resolver;
  std::promise<test::Answer> promise;
  auto answer = promise.get_future();
  REQUIRE_FALSE(
      resolver.submit(resolver.open({}), literal(std::make_unique<test::PromiseReceiver>(std::move(promise)))));
  test::await(std::move(answer));
  CHECK(resolver.stop(test::kHangGuard));
  const std::weak_ptr<Owner> left = owner;
  resolver.detach(std::move(owner));
  CHECK(left.expired());
}

TEST_CASE("destroying the resolver ends all its lookups") {
  test::LookupClient client;
  const auto transport = GENERATE(Transport::kUdp, Transport::kTcp, Transport::kTcpFirst);
  MockDnsServer server{test::say_nothing};
  // More than can be in flight.
  std::vector<std::future<test::Answer>> answers;
  for (int i = 0; i < 500; ++i) {
    answers.push_back(client.start(question(i), at(transport, minutes{1}, server)));
  }
  const auto gone = waiting(true);
  auto nobody = client.start(kQuestion, at(transport, minutes{1}, server), gone);
  *gone = false;
  client.destroy_resolver();
  for (auto& answer : answers) {
    // The answer is there, because the destructor has joined the thread.
    REQUIRE(answer.wait_for(std::chrono::seconds{0}) == std::future_status::ready);
    CHECK(outcome(answer.get().value()) == "closed");
  }
  CHECK_FALSE(test::await(std::move(nobody)));
}

TEST_CASE("a resolver can be destroyed at any moment of a lookup") {
  MockDnsServer server{test::answer_with("n1.example")};
  for (int i = 0; i < 200; ++i) {
    test::LookupClient client;
    std::vector<std::future<test::Answer>> answers;
    for (int lookup = 0; lookup < i % 10; ++lookup) {
      answers.push_back(client.start(question(lookup), at(Transport::kUdp, server)));
    }
    client.destroy_resolver();
    for (auto& answer : answers) {
      const auto how = outcome(test::await(std::move(answer)).value());
      CHECK((how == "ok" || how == "closed"));
    }
  }
}

// Starts the next lookup from within deliver(), `left` more times, and reports the last result.
class Chain final : public Receiver {
 public:
  using End = std::shared_ptr<std::promise<std::string>>;

  Chain(test::LookupClient& client, LookupOptions options, int left, End end)
      : client_{client}, options_{std::move(options)}, left_{left}, end_{std::move(end)} {}

  Interest interest() const noexcept override { return Interest::kWaiting; }
  Interest deliver(const Reply& reply, std::unique_ptr<Rendering>*) noexcept override {
    if (left_ == 0) {
      end_->set_value(outcome(reply));
      return Interest::kWaiting;
    }
    auto next = std::make_unique<Chain>(client_, options_, left_ - 1, end_);
    if (const auto error = client_.submit(kQuestion, options_, std::move(next))) {
      end_->set_value(std::string{"not taken: "} + error_name(*error));
    }
    return Interest::kWaiting;
  }

 private:
  test::LookupClient& client_;
  LookupOptions options_;
  int left_;
  End end_;
};

TEST_CASE("a receiver may start another lookup") {
  test::LookupClient client;
  MockDnsServer server{test::answer_with("n1.example")};
  const auto end = std::make_shared<std::promise<std::string>>();
  const auto options = at(Transport::kUdp, server);
  client.submit(kQuestion, options, std::make_unique<Chain>(client, options, 100, end));
  CHECK(test::await(end->get_future()) == "ok");
  CHECK(server.queries().size() == 101);
}

TEST_CASE("a lookup started while the resolver is being destroyed is not taken") {
  test::LookupClient client;
  MockDnsServer server{test::say_nothing};
  const auto end = std::make_shared<std::promise<std::string>>();
  const auto options = at(Transport::kUdp, minutes{1}, server);
  client.submit(kQuestion, options, std::make_unique<Chain>(client, options, 1, end));
  client.destroy_resolver();
  CHECK(test::await(end->get_future()) == "not taken: closed");
}

TEST_CASE("lookups may be started by many threads") {
  test::LookupClient client;
  MockDnsServer server{test::answer_with("n1.example")};
  const auto options = at(Transport::kUdp, minutes{1}, server);
  constexpr int kThreads = 4;
  constexpr int kLookups = 200;
  std::atomic<int> answered{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kLookups; ++i) {
        answered += client.ask(question(thread * kLookups + i), options).error ? 0 : 1;
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  CHECK(answered == kThreads * kLookups);
}

#ifdef __linux__
// The CPUs on which the resolver's thread may run.
std::optional<int> processors_of_resolver() {
  for (const auto& task : std::filesystem::directory_iterator{"/proc/self/task"}) {
    std::string name;
    std::getline(std::ifstream{task.path() / "comm"}, name);
    cpu_set_t processors;
    CPU_ZERO(&processors);
    const auto id = static_cast<pid_t>(std::stoi(task.path().filename()));
    if (name == "caravan_dns" && ::sched_getaffinity(id, sizeof processors, &processors) == 0) {
      return CPU_COUNT(&processors);
    }
  }
  return std::nullopt;
}

// Like a scheduler with `+sbt db`.
TEST_CASE("a resolver that is started by a thread bound to one CPU is not bound to it") {
  cpu_set_t all;
  CPU_ZERO(&all);
  REQUIRE(::sched_getaffinity(::getpid(), sizeof all, &all) == 0);
  std::size_t first = 0;
  while (!CPU_ISSET(first, &all)) {
    ++first;
  }
  test::LookupClient client;
  std::thread{[&client, first] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    ::sched_setaffinity(0, sizeof one, &one);
    client.ask(LookupType::kAddresses, "127.0.0.1");
  }}.join();
  CHECK(processors_of_resolver() == CPU_COUNT(&all));
}
#endif

}  // namespace
}  // namespace caravan
