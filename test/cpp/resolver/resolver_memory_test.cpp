#include <new>

#include "catch.hpp"
#include "core/resolver/resolver.hpp"
#include "support/failing_memory.hpp"
#include "support/handlers.hpp"
#include "support/lookup_client.hpp"
#include "support/reply_text.hpp"

// Callers are threads of the VM. If they lack memory or a thread, they get an error, and no state is left behind. The
// resolver's own thread ends the process if an allocation fails, as the VM does.
namespace caravan {
namespace {

using test::at;
using test::MockDnsServer;
using test::outcome;

const Question kQuestion{"app.example", RecordType::kSrv};

TEST_CASE("a lookup that gets no memory is refused and the next one is answered") {
  MockDnsServer server{test::answer_with("n1.example")};
  const auto options = at(Transport::kUdp, server);
  const auto refused = test::each_allocation([&](std::size_t number) {
    // Each resolver starts its thread.
    test::LookupClient client;
    std::promise<test::Answer> promise;
    auto answer = promise.get_future();
    auto receiver = std::make_unique<test::PromiseReceiver>(std::move(promise));
    std::optional<Error> error;
    bool failed = false;
    {
      auto question = kQuestion;
      auto asked = options;
      const test::FailingAllocation memory{number};
      error = client.submit(std::move(question), std::move(asked), std::move(receiver));
      failed = memory.has_failed();
    }
    const auto reply = test::await(std::move(answer));
    CHECK(error == (failed ? std::optional{Error::kSystem} : std::nullopt));
    CHECK(reply.has_value() != failed);
    CHECK(outcome(client.ask(kQuestion, options)) == "ok");
    client.settle();
    CHECK(client.stats().in_flight + client.stats().queued == 0);
    return failed;
  });
  CHECK(refused > 0);
}

TEST_CASE("a client that gets no memory is not opened") {
  test::LookupClient client;
  const auto refused = test::each_allocation([&](std::size_t number) {
    ClientOptions options;
    options.hosts_file = "/a/path/that/is/longer/than/what/a/string/has/in/itself";
    const test::FailingAllocation memory{number};
    try {
      test::LookupClient other{client, std::move(options)};
    } catch (const std::bad_alloc&) {
      return true;
    }
    return false;
  });
  CHECK(refused > 0);
}

TEST_CASE("a client that gets no memory to be closed stays open and is closed later") {
  MockDnsServer server{test::answer_with("n1.example")};
  const auto options = at(Transport::kUdp, server);
  const auto refused = test::each_allocation([&](std::size_t number) {
    test::LookupClient client;
    CHECK(outcome(client.ask(kQuestion, options)) == "ok");
    bool failed = false;
    try {
      const test::FailingAllocation memory{number};
      client.close();
    } catch (const std::bad_alloc&) {
      failed = true;
    }
    CHECK((client.find() != nullptr) == failed);
    if (failed) {
      CHECK(outcome(client.ask(kQuestion, options)) == "ok");
      CHECK(client.close());
    }
    CHECK(client.refusal(LookupType::kSrv, "app.example", options) == Error::kClosed);
    return failed;
  });
  CHECK(refused > 0);
}

TEST_CASE("a client that gets no memory to be released does no harm") {
  MockDnsServer server{test::answer_with("n1.example")};
  const auto options = at(Transport::kUdp, server);
  test::LookupClient client;
  CHECK(outcome(client.ask(kQuestion, options)) == "ok");
  test::each_allocation([&](std::size_t number) {
    test::LookupClient other{client, {}};
    const test::FailingAllocation memory{number};
    other.release();
    return memory.has_failed();
  });
  CHECK(outcome(client.ask(kQuestion, options)) == "ok");
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("a resolver that gets no thread fails and works again when there is one") {
  test::LookupClient client;
  MockDnsServer server{test::answer_with("n1.example")};
  const auto options = at(Transport::kUdp, server);
  {
    const test::NoThreads none;
    CHECK(client.refusal(LookupType::kSrv, "app.example", options) == Error::kSystem);
  }
  CHECK(client.stats().in_flight + client.stats().queued == 0);
  CHECK(outcome(client.ask(kQuestion, options)) == "ok");
}
#endif

}  // namespace
}  // namespace caravan
