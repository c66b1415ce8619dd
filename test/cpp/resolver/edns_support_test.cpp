#include "core/resolver/edns_support.hpp"

#include "catch.hpp"

namespace caravan {
namespace {

constexpr EdnsSupport::TimePoint kNow{std::chrono::hours{1}};

TEST_CASE("a nameserver is first assumed to support EDNS") {
  const EdnsSupport edns;
  CHECK_FALSE(edns.is_missing(kNow));
  CHECK_FALSE(edns.has_answered());
}

TEST_CASE("a nameserver that has refused EDNS is asked without for ten minutes") {
  EdnsSupport edns;
  edns.on_answer_after_refusal(kNow);
  CHECK(edns.is_missing(kNow));
  CHECK(edns.is_missing(kNow + std::chrono::seconds{599}));
  CHECK_FALSE(edns.is_missing(kNow + std::chrono::minutes{10}));
}

// A header of twelve octets is easy to forge.
TEST_CASE("a nameserver that has answered with EDNS must refuse it several times in a row") {
  EdnsSupport edns;
  edns.on_answer();
  for (unsigned i = 1; i < EdnsSupport::kMinEvidence; ++i) {
    edns.on_answer_after_refusal(kNow);
    CHECK_FALSE(edns.is_missing(kNow));
  }
  edns.on_answer();
  edns.on_answer_after_refusal(kNow);
  CHECK_FALSE(edns.is_missing(kNow));
  for (unsigned i = 1; i < EdnsSupport::kMinEvidence; ++i) {
    edns.on_answer_after_refusal(kNow);
  }
  CHECK(edns.is_missing(kNow));
}

TEST_CASE("silence with EDNS counts only after several lookups") {
  EdnsSupport edns;
  edns.on_answer_after_silence(kNow);
  edns.on_answer_after_silence(kNow);
  CHECK_FALSE(edns.is_missing(kNow));
  edns.on_answer_after_silence(kNow);
  CHECK(edns.is_missing(kNow));
  // The nameserver was upgraded meanwhile.
  edns.on_answer();
  CHECK_FALSE(edns.is_missing(kNow));
}

TEST_CASE("a nameserver that has answered with EDNS is silent for another reason") {
  EdnsSupport edns;
  edns.on_answer();
  CHECK(edns.has_answered());
  for (int i = 0; i < 5; ++i) {
    edns.on_answer_after_silence(kNow);
  }
  CHECK_FALSE(edns.is_missing(kNow));
}

}  // namespace
}  // namespace caravan
