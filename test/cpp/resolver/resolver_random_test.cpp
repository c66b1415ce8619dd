#include <array>
#include <atomic>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "core/resolver/resolver.hpp"
#include "support/faulty_server.hpp"
#include "support/lookup_client.hpp"
#include "support/random_text.hpp"

// Many clients at nameservers that change their faults, with callers that cancel or die. Each lookup must end once,
// with a right answer if it has one, and leave no state behind.
namespace caravan {
namespace {

using std::chrono::milliseconds;

using test::FaultyServer;
using test::RandomText;

constexpr std::size_t kServers = 5;
constexpr std::size_t kClients = 20;
constexpr int kSteps = 1500;

#ifdef __linux__
std::size_t entries(const char* directory) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator{directory}, {}));
}
#endif

// A caller's lookup and its result.
struct Asked {
  std::size_t client;
  std::string name;
  std::shared_ptr<std::atomic<bool>> waits;
  std::future<test::Answer> answer;
};

struct Tally {
  std::uint64_t taken = 0;
  std::uint64_t refused = 0;
};

class RandomRun {
 public:
  explicit RandomRun(std::uint32_t seed) : random_{seed} {
    for (std::size_t i = 0; i < kServers; ++i) {
      servers_.push_back(std::make_unique<FaultyServer>(seed * 100 + static_cast<std::uint32_t>(i)));
    }
    for (std::size_t i = 0; i < kClients; ++i) {
      open();
    }
  }

  void run() {
    for (int step = 0; step < kSteps; ++step) {
      const auto action = random_.below(100);
      if (action < 80) {
        ask();
      } else if (action < 90) {
        cancel();
      } else if (action < 95) {
        const auto fault =
            static_cast<FaultyServer::Fault>(random_.below(static_cast<std::size_t>(FaultyServer::Fault::kCount)));
        servers_[random_.below(kServers)]->set(fault);
      } else if (action < 98) {
        clients_[random_.below(clients_.size())]->close();
        open();
      } else {
        clients_[random_.below(clients_.size())]->release();
        open();
      }
    }
  }

  void check_answers() {
    for (auto& asked : asked_) {
      CAPTURE(asked.name, asked.client);
      const auto answer = test::await(std::move(asked.answer));
      // Only a caller that no longer waits gets no answer.
      REQUIRE((answer || !*asked.waits));
      for (const auto& record : answer ? answer->srv : std::vector<SrvRecord>{}) {
        REQUIRE(answer->view(record.target) == asked.name);
      }
    }
  }

  void check_numbers() {
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      CAPTURE(i);
      const auto& stats = clients_[i]->stats();
      std::uint64_t ended = stats.answered() + stats.get(Counter::kAbandoned);
      for (const auto& info : kErrors) {
        ended += stats.failed(info.code);
      }
      REQUIRE(ended == tallies_[i].taken + tallies_[i].refused);
      REQUIRE(stats.in_flight == 0);
      REQUIRE(stats.queued == 0);
    }
  }

  void end() { first_.destroy_resolver(); }
  void settle() { first_.settle(); }

 private:
  void open() {
    ClientOptions options;
    Nameservers nameservers;
    for (std::size_t i = 0; i <= random_.below(3); ++i) {
      nameservers.push_back(servers_[random_.below(kServers)]->nameserver());
    }
    options.nameservers = std::make_shared<const Nameservers>(std::move(nameservers));
    constexpr std::array<TransportChoice, 4> transports{std::nullopt, Transport::kUdp, Transport::kTcp,
                                                        Transport::kTcpFirst};
    options.transport = transports[random_.below(transports.size())];
    options.timeout = milliseconds{50 + random_.below(500)};
    options.tries = static_cast<std::uint8_t>(1 + random_.below(3));
    options.rotate = random_.below(2) == 0;
    options.edns_size = random_.below(2) == 0 ? std::uint16_t{0} : kMaxEdnsSize;
    options.max_inflight = 1 + random_.below(16);
    options.max_queue = random_.below(20);
    options.hosts_file.clear();
    if (random_.below(3) == 0) {
      options.cache.emplace();
    }
    clients_.push_back(std::make_unique<test::LookupClient>(first_, std::move(options)));
    tallies_.push_back({});
  }

  void ask() {
    const auto client = random_.below(clients_.size());
    // There are few names, so that many lookups are equal.
    auto name = "app" + std::to_string(random_.below(40)) + ".example";
    constexpr std::array types{LookupType::kSrv, LookupType::kSrv, LookupType::kA, LookupType::kAddresses};
    std::promise<test::Answer> promise;
    Asked asked{client, name, std::make_shared<std::atomic<bool>>(true), promise.get_future()};
    const auto error =
        clients_[client]->submit(types[random_.below(types.size())], std::move(name), {},
                                 std::make_unique<test::PromiseReceiver>(std::move(promise), asked.waits));
    if (!error) {
      ++tallies_[client].taken;
      asked_.push_back(std::move(asked));
    } else {
      REQUIRE((error == Error::kOverload || error == Error::kClosed));
      tallies_[client].refused += error == Error::kOverload ? 1U : 0U;
    }
  }

  void cancel() {
    if (!asked_.empty()) {
      *asked_[random_.below(asked_.size())].waits = false;
    }
  }

  RandomText random_;
  std::vector<std::unique_ptr<FaultyServer>> servers_;
  test::LookupClient first_;
  std::vector<std::unique_ptr<test::LookupClient>> clients_;
  std::vector<Tally> tallies_;
  std::vector<Asked> asked_;
};

TEST_CASE("each lookup ends once, whatever nameservers and callers do") {
  const auto seed = GENERATE(range(1U, 5U));
  CAPTURE(seed);
#ifdef __linux__
  // ThreadSanitizer starts a thread of its own together with the first one.
  std::thread{[] {}}.join();
  const auto descriptors = entries("/proc/self/fd");
  const auto threads = entries("/proc/self/task");
#endif
  {
    RandomRun run{seed};
    run.run();
    run.check_answers();
    run.settle();
    run.check_numbers();
    run.end();
  }
#ifdef __linux__
  CHECK(entries("/proc/self/fd") == descriptors);
  CHECK(entries("/proc/self/task") == threads);
#endif
}

TEST_CASE("a resolver that stops under load ends all lookups") {
  RandomRun run{GENERATE(range(5U, 7U))};
  run.run();
  run.end();
  run.check_answers();
}

}  // namespace
}  // namespace caravan
