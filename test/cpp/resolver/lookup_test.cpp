#include "core/resolver/lookup.hpp"

#include <cstdlib>
#include <memory>
#include <set>
#include <vector>

#include "catch.hpp"
#include "core/resolver/client_state.hpp"

namespace caravan {
namespace {

using std::chrono::milliseconds;

// The table never calls its receivers.
class NobodyWaits final : public Receiver {
 public:
  Interest interest() const noexcept override { return Interest::kGone; }
  Interest deliver(const Reply&, std::unique_ptr<Rendering>*) noexcept override { std::abort(); }
};

struct Table : LookupTable {
  Lookup& open_one() {
    auto& lookup = open(client);
    lookup.waiters.first.receiver = std::make_unique<NobodyWaits>();
    return lookup;
  }

  ClientState client{std::make_shared<Client>(ClientOptions{})};
};

// An arbitrary point in time: the table has no clock.
LookupTable::TimePoint at(int ms) { return LookupTable::TimePoint{} + milliseconds{ms}; }

// The entries whose timers have expired, in the order of take_due().
std::vector<std::uint32_t> take_all_due(LookupTable& table, int ms) {
  std::vector<std::uint32_t> places;
  while (const auto* lookup = table.take_due(at(ms))) {
    places.push_back(lookup->ref.index);
  }
  return places;
}

using Slots = std::vector<std::uint32_t>;

TEST_CASE("an open lookup is found by its reference") {
  Table table;
  auto& first = table.open_one();
  auto& second = table.open_one();
  CHECK(table.find(first.ref) == &first);
  CHECK(table.find(second.ref) == &second);
}

TEST_CASE("a reference that was never given out finds no lookup") {
  Table table;
  CHECK(table.find({0, 0}) == nullptr);
  const auto ref = table.open_one().ref;
  CHECK(table.find({ref.index, ref.generation + 1}) == nullptr);
  CHECK(table.find({ref.index + 1, ref.generation}) == nullptr);
  CHECK(table.find({0xFFFFFFFF, 0}) == nullptr);
}

TEST_CASE("a reference to a closed lookup finds no lookup, even when its entry is in use again") {
  Table table;
  auto& first = table.open_one();
  const auto old = first.ref;
  table.close(first);
  CHECK(table.find(old) == nullptr);
  CHECK(table.find({old.index, old.generation + 1}) == nullptr);

  auto& second = table.open_one();
  REQUIRE(second.ref.index == old.index);
  CHECK(table.find(old) == nullptr);
  CHECK(table.find(second.ref) == &second);
}

TEST_CASE("closing returns the waiters and clears the entry") {
  Table table;
  auto& first = table.open_one();
  const auto* receiver = first.waiters.first.receiver.get();
  first.waiters.others.emplace_back();
  first.inquiry.question.name = "first";
  first.joinable = true;
  first.is_retry = true;
  first.candidates = {Question{"a"}, Question{"b"}};
  first.candidate = 1;
  first.outstanding = 2;
  first.partial = std::make_unique<Reply>();
  first.plan.emplace(1U, Transport::kTcp, 1U);
  const auto returned = table.close(first);
  CHECK(returned.first.receiver.get() == receiver);
  CHECK(returned.others.size() == 1);

  const auto& second = table.open(table.client);
  CHECK(second.client == &table.client);
  CHECK_FALSE(second.waiters.first.receiver);
  CHECK(second.waiters.others.empty());
  CHECK(second.inquiry.question.name.empty());
  CHECK_FALSE(second.joinable);
  CHECK_FALSE(second.is_retry);
  CHECK(second.candidates.empty());
  CHECK(second.candidate == 0);
  CHECK(second.outstanding == 0);
  CHECK_FALSE(second.partial);
  CHECK_FALSE(second.plan);
}

TEST_CASE("entries of closed lookups are reused before new ones are made") {
  Table table;
  std::set<std::uint32_t> places;
  for (int i = 0; i < 1000; ++i) {
    auto& first = table.open_one();
    auto& second = table.open_one();
    places.insert({first.ref.index, second.ref.index});
    table.close(first);
    table.close(second);
  }
  CHECK(places.size() == 2);
}

TEST_CASE("references stay valid while other lookups are opened and closed") {
  Table table;
  auto& kept = table.open_one();
  kept.inquiry.question.name = "kept";
  const auto ref = kept.ref;
  std::vector<Lookup*> others;
  for (int i = 0; i < 1000; ++i) {
    others.push_back(&table.open_one());
  }
  for (auto* other : others) {
    table.close(*other);
  }
  CHECK(table.find(ref) == &kept);
  CHECK(kept.inquiry.question.name == "kept");
}

TEST_CASE("every open lookup is visited and may be closed by its visitor") {
  Table table;
  table.open_one();
  auto& closed = table.open_one();
  table.open_one();
  table.close(closed);

  Slots visited;
  table.for_each([&](Lookup& lookup) {
    visited.push_back(lookup.ref.index);
    table.close(lookup);
  });
  CHECK(visited == Slots{0, 2});
  table.for_each([](Lookup&) { FAIL("all of them are closed"); });
}

TEST_CASE("lookups wake in the order of their times") {
  Table table;
  table.wake_at(table.open_one(), at(30));
  table.wake_at(table.open_one(), at(10));
  table.wake_at(table.open_one(), at(20));
  CHECK(table.next_wake() == at(10));
  CHECK(take_all_due(table, 9).empty());
  CHECK(take_all_due(table, 20) == Slots{1, 2});
  CHECK(table.next_wake() == at(30));
  CHECK(take_all_due(table, 1000) == Slots{0});
  CHECK(table.next_wake() == std::nullopt);
}

TEST_CASE("lookups with the same time wake one by one") {
  Table table;
  table.wake_at(table.open_one(), at(10));
  table.wake_at(table.open_one(), at(10));
  CHECK(take_all_due(table, 10) == Slots{0, 1});
  CHECK(take_all_due(table, 10).empty());
}

TEST_CASE("a lookup has one timer which can be set earlier and later") {
  Table table;
  auto& lookup = table.open_one();
  table.wake_at(lookup, at(10));
  table.wake_at(lookup, at(30));
  CHECK(table.next_wake() == at(30));
  CHECK(table.take_due(at(29)) == nullptr);
  table.wake_at(lookup, at(20));
  CHECK(table.take_due(at(20)) == &lookup);
  CHECK(table.next_wake() == std::nullopt);
}

TEST_CASE("a timer that has fired can be set again") {
  Table table;
  auto& lookup = table.open_one();
  for (int ms = 1; ms <= 3; ++ms) {
    table.wake_at(lookup, at(ms));
    CHECK(table.take_due(at(ms)) == &lookup);
    CHECK(table.take_due(at(ms)) == nullptr);
  }
}

TEST_CASE("the timer of a closed lookup does not fire for the next one in its entry") {
  Table table;
  auto& first = table.open_one();
  table.wake_at(first, at(10));
  table.close(first);
  CHECK(table.next_wake() == std::nullopt);

  auto& second = table.open_one();
  REQUIRE(second.ref.index == 0);
  CHECK(take_all_due(table, 1000).empty());
  table.wake_at(second, at(20));
  CHECK(take_all_due(table, 1000) == Slots{0});
  // Closing a lookup whose timer has fired touches no other timer.
  auto& third = table.open_one();
  table.wake_at(third, at(30));
  table.close(second);
  CHECK(table.next_wake() == at(30));
}

TEST_CASE("after a burst the entries are freed, and references to them find no lookup") {
  Table table;
  std::vector<LookupRef> refs;
  for (int i = 0; i < 5000; ++i) {
    refs.push_back(table.open_one().ref);
    table.wake_at(*table.find(refs.back()), at(i));
  }
  table.tidy();
  CHECK(table.find(refs[4999]));
  for (const auto& ref : refs) {
    table.close(*table.find(ref));
  }
  table.tidy();
  CHECK_FALSE(table.next_wake());
  const auto& again = table.open_one();
  CHECK(again.ref.index == 0);
  CHECK(again.ref != refs[0]);
  for (const auto& ref : refs) {
    REQUIRE_FALSE(table.find(ref));
  }
}

}  // namespace
}  // namespace caravan
