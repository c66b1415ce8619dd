#include "core/resolver/admission.hpp"

#include <algorithm>
#include <map>
#include <vector>

#include "catch.hpp"
#include "support/random_text.hpp"

namespace caravan {
namespace {

using Slots = std::vector<std::uint32_t>;

Endpoint server(std::uint16_t port, bool tcp = false) { return {{*parse_ip_address("127.0.0.1"), port}, tcp}; }

const Endpoint kOne = server(1);
const Endpoint kOther = server(2);

LookupRef lookup(std::uint32_t slot) { return {slot, 7}; }

// All that may go now, in order.
Slots admit_all(Admission& admission) {
  Slots slots;
  while (const auto admitted = admission.admit()) {
    CHECK(admitted->lookup.generation == 7);
    slots.push_back(admitted->lookup.slot);
  }
  return slots;
}

TEST_CASE("when nobody waits nobody is admitted") {
  Admission admission{3};
  CHECK_FALSE(admission.admit());
  CHECK(admission.active() == 0);
}

TEST_CASE("as many lookups go at a time as the limit says and in order") {
  Admission admission{3};
  for (std::uint32_t slot = 0; slot < 7; ++slot) {
    admission.enqueue(kOne, lookup(slot));
  }
  CHECK(admit_all(admission) == Slots{0, 1, 2});
  CHECK(admission.active() == 3);
  admission.leave(kOne);
  CHECK(admission.active() == 2);
  CHECK(admit_all(admission) == Slots{3});
  admission.leave(kOne);
  admission.leave(kOne);
  admission.leave(kOne);
  CHECK(admission.active() == 0);
  CHECK(admit_all(admission) == Slots{4, 5, 6});
}

TEST_CASE("a lookup is admitted with the nameserver that it begins with") {
  Admission admission{1};
  admission.enqueue(kOther, lookup(0));
  admission.enqueue(kOne, lookup(1));
  std::map<std::uint32_t, Endpoint> first_of;
  while (const auto admitted = admission.admit()) {
    first_of[admitted->lookup.slot] = admitted->route;
  }
  CHECK(first_of == std::map<std::uint32_t, Endpoint>{{0, kOther}, {1, kOne}});
}

TEST_CASE("lookups at a nameserver that does not answer keep no others from going") {
  Admission admission{2};
  for (std::uint32_t slot = 0; slot < 5; ++slot) {
    admission.enqueue(kOne, lookup(slot));
  }
  CHECK(admit_all(admission) == Slots{0, 1});
  admission.enqueue(kOther, lookup(10));
  admission.enqueue(kOther, lookup(11));
  admission.enqueue(kOther, lookup(12));
  CHECK(admit_all(admission) == Slots{10, 11});
  // What ends in one lane makes no room in the other.
  admission.leave(kOther);
  CHECK(admit_all(admission) == Slots{12});
  admission.leave(kOther);
  CHECK(admit_all(admission).empty());
  admission.leave(kOne);
  CHECK(admit_all(admission) == Slots{2});
}

TEST_CASE("the address and the port of a nameserver tell lanes apart") {
  Admission admission{1};
  const Endpoint elsewhere{{*parse_ip_address("127.0.0.2"), kOne.nameserver.port}};
  admission.enqueue(kOne, lookup(0));
  admission.enqueue(kOne, lookup(1));
  admission.enqueue(kOther, lookup(2));
  admission.enqueue(elsewhere, lookup(3));
  CHECK(admit_all(admission).size() == 3);
}

TEST_CASE("a nameserver where all has ended begins anew") {
  Admission admission{1};
  for (std::uint32_t slot = 0; slot < 3; ++slot) {
    admission.enqueue(kOne, lookup(slot));
    CHECK(admit_all(admission) == Slots{slot});
    admission.leave(kOne);
  }
  CHECK(admission.active() == 0);
}

TEST_CASE("nobody is lost or overtaken or let go beyond the limit") {
  constexpr std::size_t kLimit = 3;
  test::RandomText source{GENERATE(range(0U, 20U))};
  Admission admission{kLimit};
  std::map<Endpoint, std::size_t> active;
  std::map<Endpoint, std::uint32_t> next;
  std::map<Endpoint, std::uint32_t> enqueued;
  std::size_t all_active = 0;
  for (int step = 0; step < 1000; ++step) {
    const auto lane = server(static_cast<std::uint16_t>(1 + source.below(4)));
    if (source.below(2) == 0) {
      admission.enqueue(lane, lookup(enqueued[lane]++));
    } else if (active[lane] > 0) {
      admission.leave(lane);
      --active[lane];
      --all_active;
    }
    while (const auto admitted = admission.admit()) {
      REQUIRE(admitted->lookup == lookup(next[admitted->route]++));
      REQUIRE(++active[admitted->route] <= kLimit);
      ++all_active;
    }
    REQUIRE(admission.active() == all_active);
    for (const auto& [each, count] : enqueued) {
      REQUIRE((next[each] == count || active[each] == kLimit));
    }
  }
}

TEST_CASE("a lookup enters at once only while there is room and nobody waits") {
  Admission admission{1};
  CHECK(admission.enter(kOne));
  CHECK_FALSE(admission.enter(kOne));
  CHECK(admission.enter(kOther));
  admission.enqueue(kOne, {1, 0});
  admission.leave(kOne);
  // Who waits goes before who comes.
  CHECK_FALSE(admission.enter(kOne));
  CHECK(admission.admit());
}

TEST_CASE("fewer lookups go over one connection than over UDP") {
  const auto limit = GENERATE(std::size_t{8}, std::size_t{128});
  Admission admission{limit};
  std::size_t entered = 0;
  while (admission.enter(server(1, true))) {
    ++entered;
  }
  CHECK(entered == std::min(limit, Admission::kMaxPipelined));
  CHECK(admission.enter(server(1)));
}

}  // namespace
}  // namespace caravan
