#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "catch.hpp"
#include "core/resolver/channel_pool.hpp"
#include "core/resolver/resolver.hpp"
#include "support/handlers.hpp"
#include "support/many_lookups.hpp"

// A network that loses datagrams, and nameservers that are silent for a while.
namespace caravan {
namespace {

using std::chrono::milliseconds;

using test::at;
using test::echo;
using test::MockDnsServer;
using test::numbered_question;
using test::outcome;

// The first question about each of these names is lost.
MockDnsServer::Handler lose_first(std::unordered_set<std::string> names) {
  return [names = std::move(names)](auto& exchange) mutable {
    if (names.erase(exchange.query().name) == 0) {
      echo(exchange);
    }
  };
}

// There would not be enough channels if each lost question kept one open for as long as c-ares waits.
TEST_CASE("a lost datagram costs a try and keeps no other lookup from being asked") {
  constexpr int kLookups = 8000;
  std::unordered_set<std::string> lost;
  for (int i = 0; i < kLookups; i += 20) {
    lost.insert(numbered_question(i).name);
  }
  MockDnsServer server{lose_first(std::move(lost))};
  // No more in flight than fit into the server's receive buffer, so that the kernel drops no datagram.
  test::LookupClient client;
  const auto lookup = at(Transport::kUdp, std::chrono::duration_cast<milliseconds>(test::kHangGuard), server);
  test::check_own_answers(test::start_many(client, kLookups, lookup));
}

// Lookups give up earlier questions so that others, and they themselves, can ask.
TEST_CASE("closing an abandoned channel does not count as a failure of the nameserver") {
  constexpr int kLookups = 6000;
  MockDnsServer silent{test::say_nothing};
  auto options = test::once_at(silent);
  options.tries = 3;
  options.max_inflight = ChannelPool::kMaxInFlight;
  test::LookupClient client{options};
  auto answers = test::start_many(client, kLookups, at(Transport::kUdp, milliseconds{2000}, silent));
  int timeouts = 0;
  for (auto& answer : answers) {
    timeouts += outcome(test::await(std::move(answer)).value()) == "timeout" ? 1 : 0;
  }
  CHECK(timeouts == kLookups);
}

// It has used up its tries, and waits for a late answer.
TEST_CASE("a lookup that has used up its tries keeps no other one from being asked") {
  MockDnsServer server{[](auto& exchange) {
    if (exchange.query().name != numbered_question(0).name) {
      echo(exchange);
    }
  }};
  auto options = test::once_at(server);
  options.max_inflight = 1;
  test::LookupClient client{options};
  const auto waiting = std::make_shared<std::atomic<bool>>(true);
  const auto silent = client.start(numbered_question(0), {}, waiting);
  CHECK(outcome(client.ask(numbered_question(1))) == "ok");
  CHECK(silent.wait_for(milliseconds{0}) == std::future_status::timeout);
  *waiting = false;
}

// A nameserver with as many questions in flight as it may have, none of which is answered.
TEST_CASE("a nameserver that does not answer one resolver answers another one") {
  MockDnsServer server{[](auto& exchange) {
    if (exchange.query().name.starts_with("other")) {
      echo(exchange);
    }
  }};
  auto options = test::once_at(server);
  options.max_inflight = 4096;
  options.tries = 10;
  options.timeout = milliseconds{4000};
  test::LookupClient client{options};
  const auto silent = test::start_many(client, 4400, {});
  options.timeout = milliseconds{2000};
  test::LookupClient other{client, options};
  for (int i = 0; silent.back().wait_for(milliseconds{0}) == std::future_status::timeout; ++i) {
    CHECK(outcome(other.ask({"other" + std::to_string(i) + ".example", RecordType::kSrv})) == "ok");
  }
}

// Before the first reply an attempt lasts a second, so there would be only three of them.
TEST_CASE("a question to a fast nameserver is repeated sooner") {
  MockDnsServer server{[asked = 0](auto& exchange) mutable {
    const bool is_lost = exchange.query().name == numbered_question(1).name && ++asked < 4;
    if (!is_lost) {
      echo(exchange);
    }
  }};
  test::LookupClient client;
  const auto lookup = at(Transport::kUdp, milliseconds{3000}, server);
  CHECK(outcome(client.ask(numbered_question(0), lookup)) == "ok");
  CHECK(outcome(client.ask(numbered_question(1), lookup)) == "ok");
}

// Like a nameserver that restarts.
TEST_CASE("a silent nameserver is asked until the deadline") {
  MockDnsServer server{[asked = 0](auto& exchange) mutable {
    if (++asked > 3) {
      echo(exchange);
    }
  }};
  auto options = test::once_at(server);
  options.tries = 2;
  test::LookupClient client{options};
  const auto reply = client.ask(numbered_question(0), at(Transport::kUdp, milliseconds{20'000}, server));
  CHECK(outcome(reply) == "ok");
  CHECK(server.queries().size() == 4);
}

// It would report the same error again.
TEST_CASE("a nameserver that has reported an error is not asked until the deadline") {
  MockDnsServer silent{test::say_nothing};
  MockDnsServer refusing{test::fail_with(5)};
  auto options = test::once_at(silent, refusing);
  test::LookupClient client{options};
  CHECK(outcome(client.ask(numbered_question(0), at(Transport::kUdp, milliseconds{4000}, silent, refusing))) ==
        "refused");
  CHECK(silent.queries().size() == 1);
  CHECK(refusing.queries().size() == 1);
}

// Longer than c-ares waits by default. c-ares uses the real time.
TEST_CASE("a late answer counts as long as the lookup is open") {
  MockDnsServer server{[](auto& exchange) {
    std::this_thread::sleep_for(milliseconds{3500});
    echo(exchange);
  }};
  test::LookupClient client{test::once_at(server)};
  CHECK(outcome(client.ask(numbered_question(0))) == "ok");
  CHECK(server.queries().size() == 1);
}

}  // namespace
}  // namespace caravan
