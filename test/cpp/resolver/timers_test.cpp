#include "core/resolver/timers.hpp"

#include <algorithm>
#include <map>

#include "catch.hpp"
#include "support/random_text.hpp"

namespace caravan {
namespace {

Timers::TimePoint at(std::size_t ms) { return Timers::TimePoint{} + std::chrono::milliseconds{ms}; }

TEST_CASE("no timer is due when none is set") {
  Timers timers;
  CHECK_FALSE(timers.next());
  CHECK_FALSE(timers.take_due(at(1'000'000)));
  timers.cancel(7);
  CHECK_FALSE(timers.next());
}

TEST_CASE("a timer is due at its time and once") {
  Timers timers;
  timers.set(3, at(10));
  CHECK(timers.next() == at(10));
  CHECK_FALSE(timers.take_due(at(9)));
  CHECK(timers.take_due(at(10)) == 3U);
  CHECK_FALSE(timers.take_due(at(10)));
}

TEST_CASE("timers that are set and cancelled at random come in the order of their times") {
  test::RandomText source{GENERATE(range(0U, 20U))};
  Timers timers;
  std::map<std::uint32_t, Timers::TimePoint> model;
  for (int step = 0; step < 3000; ++step) {
    const auto number = static_cast<std::uint32_t>(source.below(100));
    switch (source.below(4)) {
      case 0: {
        const auto now = at(source.below(1000));
        const auto first = std::min_element(model.begin(), model.end(),
                                            [](const auto& a, const auto& b) { return a.second < b.second; });
        const bool is_due = first != model.end() && first->second <= now;
        const auto taken = timers.take_due(now);
        REQUIRE(taken.has_value() == is_due);
        if (taken) {
          REQUIRE(model.at(*taken) == first->second);
          model.erase(*taken);
        }
        break;
      }
      case 1:
        timers.cancel(number);
        model.erase(number);
        break;
      default:
        model[number] = at(source.below(1000));
        timers.set(number, model[number]);
    }
    const auto first =
        std::min_element(model.begin(), model.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    REQUIRE(timers.next() == (first == model.end() ? std::nullopt : std::optional{first->second}));
  }
}

}  // namespace
}  // namespace caravan
