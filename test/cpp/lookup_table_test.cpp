#include "core/lookup_table.hpp"

#include <memory>
#include <set>
#include <vector>

#include "catch.hpp"

namespace caravan {
namespace {

using std::chrono::milliseconds;

// The table never calls its receivers.
class NobodyWaits final : public Receiver {
 public:
  void deliver(const Reply&) noexcept override { std::abort(); }
  bool is_waiting() const noexcept override { return false; }
};

Lookup& open(LookupTable& table) {
  auto& lookup = table.open();
  lookup.receiver = std::make_unique<NobodyWaits>();
  return lookup;
}

struct Token {
  std::uint32_t slot;
  std::uint32_t generation;
};

Token token_of(const Lookup& lookup) { return {lookup.slot, lookup.generation}; }

Lookup* find(LookupTable& table, Token token) { return table.find(token.slot, token.generation); }

// Any point in time: the table has no clock.
LookupTable::TimePoint at(int ms) { return LookupTable::TimePoint{} + milliseconds{ms}; }

// The slots whose time has come, in the order in which they are given out.
std::vector<std::uint32_t> take_all_due(LookupTable& table, int ms) {
  std::vector<std::uint32_t> slots;
  while (const auto* lookup = table.take_due(at(ms))) {
    slots.push_back(lookup->slot);
  }
  return slots;
}

using Slots = std::vector<std::uint32_t>;

TEST_CASE("an open lookup is found by its token") {
  LookupTable table;
  auto& first = open(table);
  auto& second = open(table);
  CHECK(find(table, token_of(first)) == &first);
  CHECK(find(table, token_of(second)) == &second);
}

TEST_CASE("tokens of nobody find nobody") {
  LookupTable table;
  CHECK(table.find(0, 0) == nullptr);
  const auto token = token_of(open(table));
  CHECK(table.find(token.slot, token.generation + 1) == nullptr);
  CHECK(table.find(token.slot + 1, token.generation) == nullptr);
  CHECK(table.find(0xFFFFFFFF, 0) == nullptr);
}

TEST_CASE("the token of a closed lookup finds nobody even when its slot is in use again") {
  LookupTable table;
  auto& first = open(table);
  const auto old = token_of(first);
  table.close(first);
  CHECK(find(table, old) == nullptr);
  CHECK(table.find(old.slot, old.generation + 1) == nullptr);

  auto& second = open(table);
  REQUIRE(second.slot == old.slot);
  CHECK(find(table, old) == nullptr);
  CHECK(find(table, token_of(second)) == &second);
}

TEST_CASE("closing gives the receiver back and leaves nothing of the lookup") {
  LookupTable table;
  auto& first = open(table);
  const auto* receiver = first.receiver.get();
  first.active = true;
  first.candidates = {"a", "b"};
  first.candidate = 1;
  first.outstanding = 2;
  first.partial.emplace();
  first.plan.emplace(1U, Transport::kTcp, 1U);
  const auto returned = table.close(first);
  CHECK(returned.get() == receiver);

  const auto& second = table.open();
  CHECK_FALSE(second.receiver);
  CHECK_FALSE(second.active);
  CHECK(second.candidates.empty());
  CHECK(second.candidate == 0);
  CHECK(second.outstanding == 0);
  CHECK_FALSE(second.partial);
  CHECK_FALSE(second.plan);
}

TEST_CASE("slots of closed lookups are used before new ones are made") {
  LookupTable table;
  std::set<std::uint32_t> slots;
  for (int i = 0; i < 1000; ++i) {
    auto& first = open(table);
    auto& second = open(table);
    slots.insert({first.slot, second.slot});
    table.close(first);
    table.close(second);
  }
  CHECK(slots.size() == 2);
}

TEST_CASE("references stay valid while other lookups are opened and closed") {
  LookupTable table;
  auto& kept = open(table);
  kept.question.name = "kept";
  const auto token = token_of(kept);
  std::vector<Lookup*> others;
  for (int i = 0; i < 1000; ++i) {
    others.push_back(&open(table));
  }
  for (auto* other : others) {
    table.close(*other);
  }
  CHECK(find(table, token) == &kept);
  CHECK(kept.question.name == "kept");
}

TEST_CASE("every open lookup is visited and may be closed by its visitor") {
  LookupTable table;
  open(table);
  auto& closed = open(table);
  open(table);
  table.close(closed);

  Slots visited;
  table.for_each([&](Lookup& lookup) {
    visited.push_back(lookup.slot);
    table.close(lookup);
  });
  CHECK(visited == Slots{0, 2});
  table.for_each([](Lookup&) { FAIL("all of them are closed"); });
}

TEST_CASE("lookups wake in the order of their times") {
  LookupTable table;
  table.wake_at(open(table), at(30));
  table.wake_at(open(table), at(10));
  table.wake_at(open(table), at(20));
  CHECK(table.next_wake() == at(10));
  CHECK(take_all_due(table, 9).empty());
  CHECK(take_all_due(table, 20) == Slots{1, 2});
  CHECK(table.next_wake() == at(30));
  CHECK(take_all_due(table, 1000) == Slots{0});
  CHECK(table.next_wake() == std::nullopt);
}

TEST_CASE("lookups with the same time wake one by one") {
  LookupTable table;
  table.wake_at(open(table), at(10));
  table.wake_at(open(table), at(10));
  CHECK(take_all_due(table, 10) == Slots{0, 1});
  CHECK(take_all_due(table, 10).empty());
}

TEST_CASE("a lookup has one timer which can be set earlier and later") {
  LookupTable table;
  auto& lookup = open(table);
  table.wake_at(lookup, at(10));
  table.wake_at(lookup, at(30));
  CHECK(table.next_wake() == at(30));
  CHECK(table.take_due(at(29)) == nullptr);
  table.wake_at(lookup, at(20));
  CHECK(table.take_due(at(20)) == &lookup);
  CHECK(table.next_wake() == std::nullopt);
}

TEST_CASE("a timer that has fired can be set again") {
  LookupTable table;
  auto& lookup = open(table);
  for (int ms = 1; ms <= 3; ++ms) {
    table.wake_at(lookup, at(ms));
    CHECK(table.take_due(at(ms)) == &lookup);
    CHECK(table.take_due(at(ms)) == nullptr);
  }
}

TEST_CASE("the timer of a closed lookup does not fire for the next one in its slot") {
  LookupTable table;
  auto& first = open(table);
  table.wake_at(first, at(10));
  table.close(first);
  CHECK(table.next_wake() == std::nullopt);

  auto& second = open(table);
  REQUIRE(second.slot == 0);
  CHECK(take_all_due(table, 1000).empty());
  table.wake_at(second, at(20));
  CHECK(take_all_due(table, 1000) == Slots{0});
  // Closing a lookup whose timer has fired touches no other timer.
  auto& third = open(table);
  table.wake_at(third, at(30));
  table.close(second);
  CHECK(table.next_wake() == at(30));
}

}  // namespace
}  // namespace caravan
