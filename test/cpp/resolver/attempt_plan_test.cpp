#include "core/resolver/attempt_plan.hpp"

#include <map>
#include <string>
#include <vector>

#include "catch.hpp"

namespace caravan {
namespace {

constexpr Attempt kFirstOverUdp{0, false};
constexpr Attempt kSecondOverUdp{1, false};

std::string to_text(const std::optional<Attempt>& attempt) {
  return attempt ? std::to_string(attempt->server) + (attempt->tcp ? " tcp" : " udp") : "end";
}

// Returns all remaining attempts if each one fails with this error.
std::vector<std::string> all_failing(AttemptPlan& plan, Error error) {
  std::vector<std::string> attempts;
  while (const auto attempt = plan.next()) {
    attempts.push_back(to_text(attempt));
    plan.fail(*attempt, error);
  }
  return attempts;
}

using Attempts = std::vector<std::string>;

TEST_CASE("every nameserver is asked before the first one is asked again") {
  AttemptPlan plan{3, Transport::kUdp, 2};
  CHECK(all_failing(plan, Error::kTimeout) == Attempts{"0 udp", "1 udp", "2 udp", "0 udp", "1 udp", "2 udp"});
  CHECK(to_text(plan.next()) == "end");
  CHECK(plan.attempts_before_fallback() == 0);
}

TEST_CASE("each nameserver may be asked once more after all attempts") {
  AttemptPlan plan{2, Transport::kTcpFirst, 1};
  all_failing(plan, Error::kTimeout);
  plan.add_round();
  CHECK(all_failing(plan, Error::kTimeout) == Attempts{"0 udp", "1 udp"});
}

TEST_CASE("an attempt that was put back is the next one") {
  AttemptPlan plan{2, Transport::kUdp, 1};
  CHECK(to_text(plan.next()) == "0 udp");
  CHECK(to_text(plan.next()) == "1 udp");
  plan.put_back();
  CHECK(all_failing(plan, Error::kTimeout) == Attempts{"1 udp"});
}

TEST_CASE("over TCP only the order is the same") {
  AttemptPlan plan{2, Transport::kTcp, 2};
  CHECK(all_failing(plan, Error::kTimeout) == Attempts{"0 tcp", "1 tcp", "0 tcp", "1 tcp"});
  CHECK(plan.attempts_before_fallback() == 0);
}

TEST_CASE("TCP first asks every nameserver over TCP once before UDP") {
  AttemptPlan plan{2, Transport::kTcpFirst, 2};
  CHECK(plan.attempts_before_fallback() == 2);
  CHECK(all_failing(plan, Error::kConnrefused) == Attempts{"0 tcp", "1 tcp", "0 udp", "1 udp", "0 udp", "1 udp"});
  CHECK(plan.attempts_before_fallback() == 0);
}

TEST_CASE("a single nameserver gets a second connection before UDP") {
  // A server may close an idle connection just as a question is written to it.
  AttemptPlan plan{1, Transport::kTcpFirst, 2};
  CHECK(plan.attempts_before_fallback() == 2);
  CHECK(all_failing(plan, Error::kConnrefused) == Attempts{"0 tcp", "0 tcp", "0 udp", "0 udp"});
}

TEST_CASE("a lookup may begin with another nameserver and asks them all in turn") {
  AttemptPlan plan{3, Transport::kUdp, 2, 2};
  CHECK(all_failing(plan, Error::kTimeout) == Attempts{"2 udp", "0 udp", "1 udp", "2 udp", "0 udp", "1 udp"});
}

TEST_CASE("the fallback to UDP begins with the same nameserver as TCP") {
  AttemptPlan plan{2, Transport::kTcpFirst, 1, 1};
  CHECK(all_failing(plan, Error::kConnrefused) == Attempts{"1 tcp", "0 tcp", "1 udp", "0 udp"});
}

TEST_CASE("a truncated answer is fetched from the nameserver that sent it") {
  AttemptPlan plan{3, Transport::kUdp, 2, 2};
  plan.fail(*plan.next(), Error::kTimeout);
  const auto second = *plan.next();
  REQUIRE(to_text(second) == "0 udp");
  plan.truncated(second);
  CHECK(all_failing(plan, Error::kTimeout) == Attempts{"0 tcp", "0 tcp"});
}

TEST_CASE("every nameserver gets the same number of attempts, whichever is first") {
  const auto servers = GENERATE(range(std::size_t{1}, kMaxNameservers + 1));
  for (std::size_t first = 0; first < servers; ++first) {
    AttemptPlan plan{servers, Transport::kUdp, 3, first};
    std::map<std::string, int> attempts;
    for (const auto& attempt : all_failing(plan, Error::kTimeout)) {
      ++attempts[attempt];
    }
    REQUIRE(attempts.size() == servers);
    for (const auto& [attempt, count] : attempts) {
      REQUIRE(count == 3);
    }
  }
}

TEST_CASE("a nameserver that said why it will not answer is not asked again") {
  const auto word = GENERATE(Error::kServfail, Error::kRefused, Error::kNotimp);
  CAPTURE(error_name(word));
  AttemptPlan plan{2, Transport::kTcpFirst, 2};
  plan.fail(*plan.next(), word);
  CHECK(all_failing(plan, Error::kTimeout) == Attempts{"1 tcp", "1 udp", "1 udp"});
  CHECK(plan.error() == word);

  AttemptPlan alone{1, Transport::kUdp, 3};
  CHECK(all_failing(alone, word) == Attempts{"0 udp"});
}

TEST_CASE("a nameserver that gave no answer is asked again") {
  const auto trouble = GENERATE(Error::kTimeout, Error::kConnrefused, Error::kFormerr, Error::kBadresp, Error::kSystem);
  CAPTURE(error_name(trouble));
  AttemptPlan plan{1, Transport::kUdp, 3};
  CHECK(all_failing(plan, trouble) == Attempts{"0 udp", "0 udp", "0 udp"});
  CHECK(plan.error() == trouble);
}

TEST_CASE("after a truncated answer only that nameserver is asked and over TCP") {
  AttemptPlan plan{2, Transport::kUdp, 3};
  plan.fail(*plan.next(), Error::kTimeout);
  const auto second = *plan.next();
  REQUIRE(to_text(second) == "1 udp");
  plan.truncated(second);
  CHECK(all_failing(plan, Error::kConnrefused) == Attempts{"1 tcp", "1 tcp"});
}

TEST_CASE("a truncated answer after the fallback to UDP brings TCP back without another fallback") {
  AttemptPlan plan{1, Transport::kTcpFirst, 3};
  plan.fail(*plan.next(), Error::kTimeout);
  plan.fail(*plan.next(), Error::kTimeout);
  const auto udp = *plan.next();
  REQUIRE(to_text(udp) == "0 udp");
  plan.truncated(udp);
  CHECK(all_failing(plan, Error::kTimeout) == Attempts{"0 tcp", "0 tcp"});
}

TEST_CASE("a late truncated answer counts although another attempt has failed since") {
  AttemptPlan plan{2, Transport::kUdp, 1};
  REQUIRE(to_text(plan.next()) == "0 udp");
  plan.fail(*plan.next(), Error::kServfail);
  plan.truncated(kFirstOverUdp);
  CHECK(all_failing(plan, Error::kTimeout) == Attempts{"0 tcp", "0 tcp"});
}

TEST_CASE("a nameserver that refused once and then truncated is asked over TCP") {
  AttemptPlan plan{1, Transport::kUdp, 3};
  plan.fail(*plan.next(), Error::kServfail);
  plan.truncated(kFirstOverUdp);
  CHECK(all_failing(plan, Error::kTimeout) == Attempts{"0 tcp", "0 tcp"});
}

TEST_CASE("a second truncated answer does not restart the attempts") {
  AttemptPlan plan{2, Transport::kUdp, 3};
  plan.truncated(*plan.next());
  REQUIRE(to_text(plan.next()) == "0 tcp");
  plan.truncated(kSecondOverUdp);
  CHECK(all_failing(plan, Error::kTimeout) == Attempts{"0 tcp"});
}

TEST_CASE("before any attempt has failed the cause is a timeout") {
  CHECK(AttemptPlan{1, Transport::kUdp, 1}.error() == Error::kTimeout);
}

TEST_CASE("the error with the greatest weight is reported, whichever came first") {
  const std::vector<Error> by_weight{Error::kTimeout, Error::kSystem, Error::kConnrefused, Error::kBadresp,
                                     Error::kFormerr, Error::kNotimp, Error::kRefused,     Error::kServfail};
  for (std::size_t lesser = 0; lesser < by_weight.size(); ++lesser) {
    for (std::size_t greater = lesser; greater < by_weight.size(); ++greater) {
      CAPTURE(error_name(by_weight[lesser]), error_name(by_weight[greater]));
      AttemptPlan rising{2, Transport::kUdp, 1};
      rising.fail(*rising.next(), by_weight[lesser]);
      rising.fail(*rising.next(), by_weight[greater]);
      CHECK(rising.error() == by_weight[greater]);

      AttemptPlan falling{2, Transport::kUdp, 1};
      falling.fail(*falling.next(), by_weight[greater]);
      falling.fail(*falling.next(), by_weight[lesser]);
      CHECK(falling.error() == by_weight[greater]);
    }
  }
}

TEST_CASE("numbers outside their ranges still make a plan that ends") {
  AttemptPlan none{0, Transport::kUdp, 0};
  CHECK(all_failing(none, Error::kTimeout) == Attempts{"0 udp"});

  AttemptPlan many{1000, Transport::kUdp, 1};
  const auto attempts = all_failing(many, Error::kServfail);
  CHECK(attempts.size() == kMaxNameservers);
  CHECK(attempts.back() == std::to_string(kMaxNameservers - 1) + " udp");
}

TEST_CASE("an attempt that did not count is replaced") {
  AttemptPlan plan{1, Transport::kTcp, 2};
  const auto first = plan.next();
  REQUIRE(first);
  plan.fail(*first, Error::kConnrefused);
  plan.repeat(*first);
  CHECK(plan.next());
  CHECK(plan.next());
  CHECK_FALSE(plan.next());
}

TEST_CASE("an attempt over TCP that did not count is not replaced over UDP") {
  AttemptPlan plan{1, Transport::kTcpFirst, 1};
  const auto first = plan.next();
  REQUIRE(first);
  REQUIRE(plan.next());
  const auto fallback = plan.next();
  REQUIRE(fallback);
  REQUIRE_FALSE(fallback->tcp);
  plan.repeat(*first);
  CHECK_FALSE(plan.next());
}

TEST_CASE("nameservers that are put last are asked in their order after the others") {
  AttemptPlan plan{4, Transport::kUdp, 2, 1};
  plan.put_last(1);
  plan.put_last(3);
  CHECK(all_failing(plan, Error::kTimeout) ==
        Attempts{"2 udp", "0 udp", "1 udp", "3 udp", "2 udp", "0 udp", "1 udp", "3 udp"});
}

TEST_CASE("a single nameserver that is silent over TCP gets no second connection before UDP") {
  AttemptPlan plan{1, Transport::kTcpFirst, 1};
  plan.time_out(plan.next().value());
  CHECK(all_failing(plan, Error::kTimeout) == Attempts{"0 udp"});
}

TEST_CASE("a time-out ends no other plan") {
  const auto transport = GENERATE(Transport::kTcp, Transport::kUdp);
  AttemptPlan plan{1, transport, 2};
  const auto first = plan.next().value();
  plan.time_out(first);
  CHECK(all_failing(plan, Error::kTimeout) == Attempts{to_text(first)});
  AttemptPlan two{2, Transport::kTcpFirst, 1};
  two.time_out(two.next().value());
  CHECK(all_failing(two, Error::kTimeout) == Attempts{"1 tcp", "0 udp", "1 udp"});
}

}  // namespace
}  // namespace caravan
