#include "core/resolver/pace.hpp"

#include "catch.hpp"

namespace caravan::pace {
namespace {

TEST_CASE("an attempt lasts a second or its share of the timeout") {
  CHECK(attempt_timeout(milliseconds{5000}, 3, 0, {}) == milliseconds{1000});
  CHECK(attempt_timeout(milliseconds{1500}, 3, 0, {}) == milliseconds{500});
}

TEST_CASE("half of the timeout is kept for UDP however slow TCP is") {
  CHECK(attempt_timeout(milliseconds{8000}, 3, 2, {}) == milliseconds{1000});
  CHECK(attempt_timeout(milliseconds{8000}, 3, 2, milliseconds{400}) == milliseconds{1600});
  CHECK(attempt_timeout(milliseconds{8000}, 3, 2, milliseconds{4000}) == milliseconds{2000});
  CHECK(attempt_timeout(milliseconds{2000}, 3, 2, {}) == milliseconds{500});
}

TEST_CASE("a question that may be lost is repeated after the retransmission timeout, within bounds") {
  CHECK(retry_delay(milliseconds{1000}, std::nullopt) == milliseconds{1000});
  CHECK(retry_delay(milliseconds{1000}, milliseconds{1}) == milliseconds{250});
  CHECK(retry_delay(milliseconds{1000}, milliseconds{400}) == milliseconds{400});
  CHECK(retry_delay(milliseconds{1000}, milliseconds{4000}) == milliseconds{1000});
  CHECK(retry_delay(milliseconds{100}, milliseconds{1}) == milliseconds{100});
}

TEST_CASE("a lookup pauses no more than eight times") {
  CHECK(pause(milliseconds{5000}, milliseconds{100}) == milliseconds{625});
  CHECK(pause(milliseconds{5000}, milliseconds{1000}) == milliseconds{1000});
  CHECK(pause(milliseconds{500}, milliseconds{100}) == milliseconds{250});
}

}  // namespace
}  // namespace caravan::pace
