#include "core/resolver/endpoint_record.hpp"

#include "catch.hpp"
#include "core/resolver/endpoint_memory.hpp"

namespace caravan {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

EndpointRecord::TimePoint at(int ms) { return EndpointRecord::TimePoint{} + milliseconds{ms}; }

TEST_CASE("there is no retransmission timeout before the first reply") {
  EndpointRecord record;
  record.on_question(at(0));
  CHECK_FALSE(record.retransmission_timeout());
}

// RFC 6298, section 2: the mean and four times the deviation, which is half of the first measurement at first.
TEST_CASE("the retransmission timeout follows the round trips") {
  EndpointRecord record;
  record.on_reply(at(0), at(100));
  CHECK(record.retransmission_timeout() == milliseconds{300});
  for (int i = 0; i < 100; ++i) {
    record.on_reply(at(0), at(100));
  }
  CHECK(*record.retransmission_timeout() < milliseconds{101});
  record.on_reply(at(0), at(500));
  CHECK(*record.retransmission_timeout() > milliseconds{500});
}

TEST_CASE("silence is from the first question after the last reply to the last time-out") {
  EndpointRecord record;
  CHECK(record.silence() == seconds{0});
  record.on_question(at(1000));
  CHECK(record.silence() == seconds{0});
  record.on_question(at(1500));
  record.on_timeout(at(2000));
  CHECK(record.silence() == seconds{1});
  record.on_timeout(at(3000));
  CHECK(record.silence() == seconds{2});
  // The reply may be to any question.
  record.on_reply(at(1000), at(3500));
  CHECK(record.silence() == seconds{0});
  // An earlier time-out does not count for later questions.
  record.on_question(at(5000));
  CHECK(record.silence() == seconds{0});
  record.on_timeout(at(6000));
  CHECK(record.silence() == seconds{1});
}

TEST_CASE("a silent nameserver is probed from time to time") {
  EndpointRecord record;
  CHECK(record.is_probe_due(at(0)));
  CHECK_FALSE(record.is_probe_due(at(9'999)));
  CHECK(record.is_probe_due(at(10'000)));
  CHECK_FALSE(record.is_probe_due(at(19'999)));
  // The next silence begins with the next question.
  record.on_reply(at(0), at(20'000));
  CHECK(record.is_probe_due(at(20'001)));
}

TEST_CASE("the memory for endpoints is bounded") {
  EndpointMemory endpoints;
  const auto endpoint = [](std::size_t number) {
    Endpoint made{parse_nameserver("10.0.0.1").value(), false};
    made.nameserver.port = static_cast<std::uint16_t>(number);
    return made;
  };
  endpoints.of(endpoint(0)).on_reply(at(0), at(100));
  for (std::size_t i = 1; i < EndpointMemory::kMaxEndpoints; ++i) {
    endpoints.of(endpoint(i));
  }
  CHECK(endpoints.of(endpoint(0)).retransmission_timeout());
  endpoints.of(endpoint(EndpointMemory::kMaxEndpoints));
  CHECK_FALSE(endpoints.of(endpoint(0)).retransmission_timeout());
}

}  // namespace
}  // namespace caravan
