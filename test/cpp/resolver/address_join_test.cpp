#include "core/resolver/address_join.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "support/reply_text.hpp"

namespace caravan {
namespace {

using test::address_lines;
using test::Lines;
using test::outcome;

Reply records(const std::vector<const char*>& addresses, std::uint32_t ttl, bool complete = true) {
  Reply reply;
  for (const auto* address : addresses) {
    reply.addresses.push_back({*parse_ip_address(address), ttl});
  }
  reply.ttl = ttl;
  reply.complete = complete;
  return reply;
}

const Reply kIpv4 = records({"10.0.0.1", "10.0.0.2"}, 30);
const Reply kIpv6 = records({"2001:db8::1"}, 20);

Reply failure(Error error, std::optional<std::uint32_t> ttl = std::nullopt) {
  auto reply = failed_reply(error);
  reply.ttl = ttl;
  return reply;
}

std::vector<Error> failures() {
  std::vector<Error> errors;
  for (const auto& info : kErrors) {
    if (!is_negative_answer(info.code)) {
      errors.push_back(info.code);
    }
  }
  return errors;
}

TEST_CASE("addresses of both families come together with the lesser TTL") {
  const auto joined = join_replies(kIpv4, kIpv6);
  CHECK(outcome(joined) == "ok");
  CHECK(address_lines(joined) == Lines{"10.0.0.1 30", "10.0.0.2 30", "2001:db8::1 20"});
  CHECK(joined.ttl == 20U);
  CHECK(joined.complete);
  CHECK(join_replies(kIpv4, records({"2001:db8::1"}, 40)).ttl == 30U);
}

TEST_CASE("addresses of both families are complete when both parts are") {
  const auto ipv4 = GENERATE(false, true);
  const auto ipv6 = GENERATE(false, true);
  const auto joined = join_replies(records({"10.0.0.1"}, 30, ipv4), records({"::1"}, 30, ipv6));
  CHECK(joined.complete == (ipv4 && ipv6));
}

TEST_CASE("a family without addresses does not affect those of the other family") {
  const auto none = GENERATE(Error::kNodata, Error::kNxdomain);
  // The TTL of the negative answer does not apply to the addresses of the other family.
  const auto only_ipv4 = join_replies(kIpv4, failure(none, 5));
  CHECK(outcome(only_ipv4) == "ok");
  CHECK(address_lines(only_ipv4) == Lines{"10.0.0.1 30", "10.0.0.2 30"});
  CHECK(only_ipv4.ttl == 30U);
  CHECK(only_ipv4.complete);

  const auto only_ipv6 = join_replies(failure(none, 5), kIpv6);
  CHECK(address_lines(only_ipv6) == Lines{"2001:db8::1 20"});
  CHECK(only_ipv6.ttl == 20U);
  CHECK(only_ipv6.complete);

  CHECK_FALSE(join_replies(records({"10.0.0.1"}, 30, false), failure(none)).complete);
}

TEST_CASE("when one family could not be asked for the answer is not complete") {
  for (const auto error : failures()) {
    CAPTURE(error_name(error));
    const auto only_ipv4 = join_replies(kIpv4, failure(error));
    CHECK(outcome(only_ipv4) == "ok");
    CHECK(address_lines(only_ipv4) == Lines{"10.0.0.1 30", "10.0.0.2 30"});
    CHECK(only_ipv4.ttl == 30U);
    CHECK_FALSE(only_ipv4.complete);

    const auto only_ipv6 = join_replies(failure(error), kIpv6);
    CHECK(address_lines(only_ipv6) == Lines{"2001:db8::1 20"});
    CHECK_FALSE(only_ipv6.complete);
  }
}

TEST_CASE("the result is negative only if both families are") {
  CHECK(outcome(join_replies(failure(Error::kNxdomain), failure(Error::kNxdomain))) == "nxdomain");
  CHECK(outcome(join_replies(failure(Error::kNodata), failure(Error::kNodata))) == "nodata");
  // A name with no address of one family exists.
  CHECK(outcome(join_replies(failure(Error::kNxdomain), failure(Error::kNodata))) == "nodata");
  CHECK(outcome(join_replies(failure(Error::kNodata), failure(Error::kNxdomain))) == "nodata");

  const auto joined = join_replies(failure(Error::kNodata, 50), failure(Error::kNodata, 40));
  CHECK(joined.ttl == 40U);
  CHECK(joined.addresses.empty());
}

TEST_CASE("a failure of one family takes precedence over a negative answer of the other") {
  const auto none = GENERATE(Error::kNodata, Error::kNxdomain);
  for (const auto error : failures()) {
    CAPTURE(error_name(error));
    for (const auto& joined :
         {join_replies(failure(error), failure(none, 30)), join_replies(failure(none, 30), failure(error))}) {
      CHECK(joined.error == error);
      // The negative answer has no TTL.
      CHECK_FALSE(joined.ttl);
      CHECK_FALSE(joined.complete);
    }
  }
}

TEST_CASE("one of two failures is reported") {
  const auto joined = join_replies(failure(Error::kServfail), failure(Error::kTimeout));
  CHECK((joined.error == Error::kServfail || joined.error == Error::kTimeout));
}

// Stores the reply that it receives.
struct Got {
  Interest interest = Interest::kWaiting;
  std::vector<Reply> replies;
};

class Keeper final : public Receiver {
 public:
  explicit Keeper(Got& got) : got_{got} {}
  Interest interest() const noexcept override { return got_.interest; }
  Interest deliver(const Reply& reply, std::unique_ptr<Rendering>*) noexcept override {
    got_.replies.push_back(reply);
    return got_.interest;
  }

 private:
  Got& got_;
};

constexpr LookupRef kIpv4Lookup{4, 1};
constexpr LookupRef kIpv6Lookup{6, 1};

struct Whole {
  explicit Whole(std::vector<std::string> names = {"n1"}) {
    Waiter whole;
    whole.receiver = std::make_unique<Keeper>(got);
    whole.place = Place::take(client).value();
    whole.timeout = std::chrono::seconds{5};
    whole.deadline = deadline;
    split(AddressJoins::begin(std::move(whole), {}, std::move(names)));
  }

  void split(const AddressJoins::JoinRef& join) {
    auto parts = joins.split(join);
    CHECK(parts.ipv4.inquiry.question.type == RecordType::kA);
    CHECK(parts.ipv6.inquiry.question.type == RecordType::kAaaa);
    CHECK(parts.ipv4.inquiry.question.name == parts.ipv6.inquiry.question.name);
    name = parts.ipv4.inquiry.question.name;
    ipv4 = std::move(parts.ipv4.waiter);
    ipv6 = std::move(parts.ipv6.waiter);
    AddressJoins::set_lookups(*join, kIpv4Lookup, kIpv6Lookup);
  }

  Got got;
  AddressJoins joins;
  std::shared_ptr<Client> client = std::make_shared<Client>(ClientOptions{});
  Waiter::Clock::time_point deadline = Waiter::Clock::now() + std::chrono::hours{1};
  std::string name;
  Waiter ipv4;
  Waiter ipv6;
};

TEST_CASE("the caller of a split lookup gets its answer after both parts, in any order") {
  Whole split;
  const bool ipv4_first = GENERATE(false, true);
  auto& first = ipv4_first ? split.ipv4 : split.ipv6;
  auto& second = ipv4_first ? split.ipv6 : split.ipv4;
  first.finish(ipv4_first ? kIpv4 : kIpv6);
  CHECK(split.got.replies.empty());
  second.finish(ipv4_first ? kIpv6 : kIpv4);
  REQUIRE(split.got.replies.size() == 1);
  CHECK(address_lines(split.got.replies[0]) == Lines{"10.0.0.1 30", "10.0.0.2 30", "2001:db8::1 20"});
}

TEST_CASE("a split lookup is counted once") {
  Whole split;
  split.ipv4.finish(kIpv4);
  CHECK(split.client->stats.answered() == 0);
  split.ipv6.finish(failure(Error::kServfail));
  CHECK(split.client->stats.answered() == 1);
  CHECK(split.client->stats.failed(Error::kServfail) == 0);
}

TEST_CASE("both parts of a split lookup have its deadline and the interest of its caller") {
  Whole split;
  for (const auto* part : {&split.ipv4, &split.ipv6}) {
    CHECK(part->deadline == split.deadline);
    CHECK(part->timeout == std::chrono::seconds{5});
    CHECK_FALSE(part->place.client());
  }
  for (const auto interest : {Interest::kWaiting, Interest::kCancelled, Interest::kGone}) {
    split.got.interest = interest;
    CHECK(split.ipv4.receiver->interest() == interest);
    CHECK(split.ipv6.receiver->interest() == interest);
  }
}

TEST_CASE("the place of a split lookup is free when both parts are gone") {
  ClientOptions options;
  options.max_inflight = 1;
  options.max_queue = 0;
  const auto client = std::make_shared<Client>(options);
  Waiter whole;
  whole.place = Place::take(client).value();
  AddressJoins joins;
  auto parts = joins.split(AddressJoins::begin(std::move(whole), {}, {"n1"}));
  CHECK_FALSE(Place::take(client));
  parts.ipv4.waiter = {};
  CHECK_FALSE(Place::take(client));
  parts.ipv6.waiter = {};
  CHECK(Place::take(client));
}

TEST_CASE("once there are addresses of one family the other one has a short time left") {
  Whole split;
  CHECK_FALSE(split.joins.next_end());
  split.ipv4.finish(kIpv4);
  const auto end = split.joins.next_end();
  REQUIRE(end);
  CHECK(split.joins.end_late(*end - std::chrono::milliseconds{1}).empty());
  CHECK(split.got.replies.empty());
  CHECK(split.joins.end_late(*end) == std::vector{kIpv6Lookup});
  REQUIRE(split.got.replies.size() == 1);
  CHECK(address_lines(split.got.replies[0]) == Lines{"10.0.0.1 30", "10.0.0.2 30"});
  CHECK_FALSE(split.got.replies[0].complete);
  // No caller waits for the other family, and its reply is dropped.
  CHECK(split.ipv6.receiver->interest() == Interest::kGone);
  split.ipv6.finish(kIpv6);
  CHECK(split.got.replies.size() == 1);
  CHECK(split.client->stats.answered() == 1);
  CHECK_FALSE(split.joins.next_end());
}

TEST_CASE("a family without addresses does not hurry the other one") {
  Whole split;
  split.ipv6.finish(failure(GENERATE(Error::kNodata, Error::kNxdomain, Error::kServfail)));
  CHECK_FALSE(split.joins.next_end());
}

TEST_CASE("the next name is looked up, and no later one, if no family has an address") {
  Whole split{{"n1.a.", "n1.b.", "n1.c."}};
  CHECK(split.name == "n1.a.");
  split.ipv4.finish(failure(Error::kNxdomain));
  CHECK_FALSE(split.joins.take_unfinished());
  split.ipv6.finish(failure(Error::kNxdomain));
  CHECK(split.ipv6.receiver->interest() == Interest::kGone);
  const auto join = split.joins.take_unfinished();
  REQUIRE(join);
  split.split(join);
  CHECK(split.name == "n1.b.");
  split.ipv6.finish(kIpv6);
  split.ipv4.finish(failure(Error::kNodata));
  CHECK_FALSE(split.joins.take_unfinished());
  REQUIRE(split.got.replies.size() == 1);
  CHECK(address_lines(split.got.replies[0]) == Lines{"2001:db8::1 20"});
}

TEST_CASE("names without addresses have the combined result of all of them") {
  struct Case {
    std::vector<Error> said;
    std::string outcome;
  };
  const auto [said, expected] =
      GENERATE(values<Case>({{{Error::kNxdomain, Error::kNxdomain, Error::kNxdomain}, "nxdomain"},
                             {{Error::kNxdomain, Error::kNodata, Error::kNxdomain}, "nodata"},
                             {{Error::kNxdomain, Error::kServfail, Error::kNxdomain}, "servfail"},
                             {{Error::kTimeout, Error::kServfail, Error::kNxdomain}, "timeout"}}));
  Whole split{{"n1.a.", "n1.b.", "n1"}};
  for (const auto error : said) {
    split.ipv4.finish(failure(Error::kNxdomain));
    split.ipv6.finish(failure(error));
    if (const auto join = split.joins.take_unfinished()) {
      split.split(join);
    }
  }
  REQUIRE(split.got.replies.size() == 1);
  CHECK(outcome(split.got.replies[0]) == expected);
}

TEST_CASE("after NXDOMAIN for one family the other one has a short time if there are more names") {
  Whole split{{"n1.a.", "n1.b."}};
  split.ipv4.finish(failure(Error::kNxdomain));
  const auto end = split.joins.next_end();
  REQUIRE(end);
  CHECK(split.joins.end_late(*end) == std::vector{kIpv6Lookup});
  const auto join = split.joins.take_unfinished();
  REQUIRE(join);
  split.split(join);
  split.ipv4.finish(failure(Error::kNxdomain));
  // This is the last name.
  CHECK_FALSE(split.joins.next_end());
  CHECK(split.got.replies.empty());
}

TEST_CASE("a slow family does not make the search skip a name that exists") {
  Whole split{{"n1.a.", "n1.b."}};
  split.ipv6.finish(failure(Error::kNodata));
  CHECK_FALSE(split.joins.next_end());
  split.ipv4.finish(kIpv4);
  REQUIRE(split.got.replies.size() == 1);
  CHECK(address_lines(split.got.replies[0]) == Lines{"10.0.0.1 30", "10.0.0.2 30"});
}

TEST_CASE("no further name is looked up after the deadline or when the resolver is closed") {
  const bool is_closed = GENERATE(false, true);
  Whole split{{"n1.a.", "n1.b."}};
  if (!is_closed) {
    Waiter whole;
    whole.receiver = std::make_unique<Keeper>(split.got);
    whole.deadline = Waiter::Clock::now();
    split.split(AddressJoins::begin(std::move(whole), {}, {"n1.a.", "n1.b."}));
  }
  const auto error = is_closed ? Error::kClosed : Error::kTimeout;
  split.ipv4.finish(failure(error));
  split.ipv6.finish(failure(error));
  CHECK_FALSE(split.joins.take_unfinished());
  REQUIRE(split.got.replies.size() == 1);
  CHECK(outcome(split.got.replies[0]) == error_name(error));
}

TEST_CASE("a lookup with answers for both families is not ended again") {
  Whole split;
  split.ipv4.finish(kIpv4);
  split.ipv6.finish(kIpv6);
  CHECK(split.joins.end_late(split.deadline).empty());
  CHECK(split.got.replies.size() == 1);
}

}  // namespace
}  // namespace caravan
