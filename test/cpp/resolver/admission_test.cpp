#include "core/resolver/admission.hpp"

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "catch.hpp"
#include "core/resolver/client_state.hpp"
#include "core/resolver/endpoint_memory.hpp"
#include "core/resolver/lookup.hpp"
#include "support/random_text.hpp"

namespace caravan {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

using Lookups = std::vector<Lookup*>;

Endpoint server(std::uint16_t port, bool tcp = false) { return {{*parse_ip_address("127.0.0.1"), port}, tcp}; }

const Endpoint kOne = server(1);
const Endpoint kOther = server(2);

class Somebody final : public Receiver {
 public:
  explicit Somebody(const Interest& interest) noexcept : interest_{interest} {}

  Interest interest() const noexcept override { return interest_; }
  Interest deliver(const Reply&, std::unique_ptr<Rendering>*) noexcept override { std::abort(); }

 private:
  const Interest& interest_;
};

ClientState make_client(std::size_t max_inflight) {
  ClientOptions options;
  options.max_inflight = max_inflight;
  return ClientState{std::make_shared<Client>(std::move(options))};
}

struct Fixture {
  Lookup& open(ClientState& of) {
    auto& lookup = table.open(of);
    lookup.waiters.first.receiver = std::make_unique<Somebody>(interest);
    of.lookups.push_back(&lookup);
    return lookup;
  }

  Lookup& open_waiting(ClientState& of, const Endpoint& endpoint) {
    auto& lookup = open(of);
    admission.wait(lookup, endpoint);
    return lookup;
  }

  Lookups open_waiting(ClientState& of, const Endpoint& endpoint, std::size_t count) {
    Lookups lookups;
    while (lookups.size() < count) {
      lookups.push_back(&open_waiting(of, endpoint));
    }
    return lookups;
  }

  // The lookups that may go now, in order.
  Lookups admit_all() {
    Lookups admitted;
    while (auto* lookup = admission.admit(now)) {
      CHECK(lookup->slot.is_held());
      admitted.push_back(lookup);
    }
    return admitted;
  }

  void close(Lookup& lookup) {
    Admission::leave(lookup);
    std::erase(lookup.client->lookups, &lookup);
    table.close(lookup);
  }

  Interest interest = Interest::kWaiting;
  Admission::TimePoint now{std::chrono::hours{1}};
  LookupTable table;
  EndpointMemory endpoints;
  Admission admission{table, endpoints};
  ClientState client = make_client(3);
  ClientState neighbour = make_client(3);
};

Lookups part(const Lookups& all, std::size_t begin, std::size_t end) {
  return {all.begin() + static_cast<std::ptrdiff_t>(begin), all.begin() + static_cast<std::ptrdiff_t>(end)};
}

TEST_CASE_METHOD(Fixture, "no lookup is admitted while none waits") {
  CHECK(admission.admit(now) == nullptr);
  CHECK(client.in_flight == 0);
}

TEST_CASE_METHOD(Fixture, "lookups of a client go in order and up to its limit") {
  const auto lookups = open_waiting(client, kOne, 7);
  CHECK(admit_all() == part(lookups, 0, 3));
  CHECK(client.in_flight == 3);
  CHECK(client.client->stats.in_flight == 3);
  CHECK(client.client->stats.queued == 4);
  Admission::leave(*lookups[1]);
  CHECK(client.in_flight == 2);
  CHECK(admit_all() == part(lookups, 3, 4));
  Admission::leave(*lookups[0]);
  Admission::leave(*lookups[2]);
  Admission::leave(*lookups[3]);
  CHECK(client.in_flight == 0);
  CHECK(admit_all() == part(lookups, 4, 7));
}

TEST_CASE_METHOD(Fixture, "lookups at a silent nameserver do not hold up others") {
  const auto dead = open_waiting(client, kOne, 5);
  CHECK(admit_all() == part(dead, 0, 3));
  const auto alive = open_waiting(client, kOther, 4);
  CHECK(admit_all() == part(alive, 0, 3));
  // A lookup that ends in one lane makes no room in the other.
  Admission::leave(*alive[0]);
  CHECK(admit_all() == part(alive, 3, 4));
  Admission::leave(*alive[1]);
  CHECK(admit_all().empty());
  Admission::leave(*dead[0]);
  CHECK(admit_all() == part(dead, 3, 4));
}

TEST_CASE_METHOD(Fixture, "a lookup that has lost its slot goes before later ones") {
  auto& first = open(client);
  REQUIRE(admission.enter(first, kOne, now));
  REQUIRE(admission.enter(open(client), kOne, now));
  REQUIRE(admission.enter(open(client), kOne, now));
  auto& later = open_waiting(client, kOne);
  admission.wait(first, kOne);
  CHECK(admit_all() == Lookups{&first});
  // After renew() it goes last.
  Admission::renew(first);
  admission.wait(first, kOne);
  CHECK(admit_all() == Lookups{&later});
}

TEST_CASE_METHOD(Fixture, "a lookup has the slot of one endpoint at a time") {
  auto& lookup = open(client);
  REQUIRE(admission.enter(lookup, kOne, now));
  CHECK(admission.enter(lookup, kOne, now));
  CHECK(client.in_flight == 1);
  CHECK(admission.enter(lookup, kOther, now));
  CHECK(client.in_flight == 1);
  admission.wait(lookup, kOne);
  CHECK(client.in_flight == 0);
}

TEST_CASE_METHOD(Fixture, "a lookup that waits elsewhere or has ended gets no slot") {
  auto& moved = open_waiting(client, kOne);
  auto& ended = open_waiting(client, kOne);
  auto& ready = open_waiting(client, kOne);
  admission.wait(moved, kOther);
  close(ended);
  auto& in_its_place = open(client);
  CHECK(&in_its_place == &ended);
  CHECK(admit_all() == Lookups{&ready, &moved});
  CHECK(admit_all().empty());
}

TEST_CASE_METHOD(Fixture, "a lookup enters at once only if there is room and no other one of its client waits") {
  const Lookups holders{&open(client), &open(client), &open(client)};
  for (auto* each : holders) {
    REQUIRE(admission.enter(*each, kOne, now));
  }
  auto& other = open(client);
  CHECK_FALSE(admission.enter(other, kOne, now));
  CHECK(admission.enter(other, kOther, now));
  auto& waiting = open_waiting(client, kOne);
  Admission::leave(*holders[0]);
  CHECK_FALSE(admission.enter(open(client), kOne, now));
  CHECK(admission.enter(open(neighbour), kOne, now));
  CHECK(admit_all() == Lookups{&waiting});
}

TEST_CASE_METHOD(Fixture, "clients take turns over one connection") {
  auto greedy = make_client(1000);
  const auto endpoint = server(1, true);
  const auto many = open_waiting(greedy, endpoint, 100);
  CHECK(admit_all() == part(many, 0, EndpointRecord::kMinWindow));
  const auto few = open_waiting(client, endpoint, 2);
  for (std::size_t i = 0; i < 4; ++i) {
    Admission::leave(*many[i]);
  }
  const auto admitted = admit_all();
  CHECK(admitted.size() == 4);
  CHECK(std::is_permutation(admitted.begin(), admitted.end(), Lookups{few[0], few[1], many[32], many[33]}.begin()));
}

TEST_CASE_METHOD(Fixture, "a connection to a distant nameserver takes more questions until it is cut off") {
  auto greedy = make_client(1000);
  const auto endpoint = server(1, true);
  auto& record = endpoints.of(endpoint);
  record.on_reply(now - milliseconds{400}, now);
  open_waiting(greedy, endpoint, 1000);
  for (int turn = 0; turn < 10; ++turn) {
    admission.begin_turn();
    admit_all();
  }
  CHECK(greedy.in_flight == EndpointRecord::kMaxWindow);
  endpoints.of(endpoint).on_cut_off(now);
  while (greedy.in_flight >= EndpointRecord::kMinWindow) {
    admission.begin_turn();
    CHECK(admit_all().empty());
    const auto held = std::find_if(greedy.lookups.begin(), greedy.lookups.end(),
                                   [](const Lookup* each) { return each->slot.is_held(); });
    Admission::leave(**held);
  }
  admission.begin_turn();
  CHECK(admit_all().size() == 1);
}

TEST_CASE_METHOD(Fixture, "an endpoint admits a limited number in one turn of the loop") {
  auto greedy = make_client(1000);
  const auto lookups = open_waiting(greedy, kOne, 2 * Admission::kAdmittedPerTurn);
  admission.begin_turn();
  CHECK(admit_all().size() == Admission::kAdmittedPerTurn);
  CHECK(admission.is_behind());
  const auto others = open_waiting(client, kOther, 1);
  CHECK(admit_all() == others);
  admission.begin_turn();
  CHECK_FALSE(admission.is_behind());
  CHECK(admit_all().size() == Admission::kAdmittedPerTurn);
}

TEST_CASE_METHOD(Fixture, "an endpoint that is blocked gives no slot away") {
  auto& lookup = open_waiting(client, kOne);
  admission.block(kOne);
  CHECK(admit_all().empty());
  CHECK_FALSE(admission.enter(open(neighbour), kOne, now));
  CHECK_FALSE(admission.is_behind());
  CHECK(admission.enter(open(neighbour), kOther, now));
  admission.unblock();
  CHECK(admit_all() == Lookups{&lookup});
}

TEST_CASE_METHOD(Fixture, "lookups without a caller are found where others wait") {
  auto& holder = open(client);
  REQUIRE(admission.enter(holder, kOne, now));
  interest = Interest::kGone;
  CHECK(admission.find_unwanted(now).empty());
  open_waiting(client, kOne, 1);
  CHECK(admission.find_unwanted(now) == std::vector{holder.ref});
  // A sweep takes time, so it is not made in each turn.
  CHECK(admission.find_unwanted(now).empty());
  CHECK(admission.find_unwanted(now + Admission::kSweepInterval).size() == 1);
}

TEST_CASE_METHOD(Fixture, "no lookup of a forgotten client waits") {
  close(open_waiting(client, kOne));
  auto& other = open_waiting(neighbour, kOne);
  admission.forget(client);
  CHECK(admit_all() == Lookups{&other});
  CHECK(admission.admit(now) == nullptr);
}

// A model of the admission of one endpoint.
struct Model {
  std::map<Lookup*, ClientState*> holders;
  std::deque<Lookup*> waiting;  // the oldest one first
};

TEST_CASE("no lookup is lost, overtaken within its client, or admitted beyond a limit") {
  test::RandomText source{GENERATE(range(0U, 20U))};
  Fixture fixture;
  std::vector<ClientState*> clients{&fixture.client, &fixture.neighbour};
  std::map<Endpoint, Model> models;
  for (int step = 0; step < 1000; ++step) {
    const auto endpoint = server(static_cast<std::uint16_t>(1 + source.below(4)), source.below(2) == 0);
    auto& model = models[endpoint];
    if (source.below(2) == 0) {
      model.waiting.push_back(&fixture.open_waiting(*clients[source.below(2)], endpoint));
    } else if (!model.holders.empty()) {
      auto* holder = model.holders.begin()->first;
      model.holders.erase(model.holders.begin());
      fixture.close(*holder);
    }
    fixture.admission.begin_turn();
    for (auto* lookup : fixture.admit_all()) {
      const auto of = std::find_if(models.begin(), models.end(), [lookup](const auto& entry) {
        const auto& waiting = entry.second.waiting;
        return std::find(waiting.begin(), waiting.end(), lookup) != waiting.end();
      });
      REQUIRE(of != models.end());
      auto& [holders, waiting] = of->second;
      const auto first = std::find_if(waiting.begin(), waiting.end(),
                                      [lookup](const Lookup* each) { return each->client == lookup->client; });
      REQUIRE(*first == lookup);
      waiting.erase(first);
      holders.emplace(lookup, lookup->client);
    }
    for (auto* client : clients) {
      std::size_t in_flight = 0;
      for (const auto& [each, of] : models) {
        const auto held = std::count_if(of.holders.begin(), of.holders.end(),
                                        [client](const auto& holder) { return holder.second == client; });
        REQUIRE(held <= 3);
        const bool any_waits = std::any_of(of.waiting.begin(), of.waiting.end(),
                                           [client](const Lookup* lookup) { return lookup->client == client; });
        REQUIRE((held == 3 || !any_waits));
        in_flight += static_cast<std::size_t>(held);
      }
      REQUIRE(client->in_flight == in_flight);
    }
  }
}

}  // namespace
}  // namespace caravan
