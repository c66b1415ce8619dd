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

TEST_CASE("a family of which there are no addresses takes nothing away") {
  const auto none = GENERATE(Error::kNodata, Error::kNxdomain);
  // How long "there is none" holds is no matter of the addresses that there are.
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

TEST_CASE("there is no address only when both families say so") {
  CHECK(outcome(join_replies(failure(Error::kNxdomain), failure(Error::kNxdomain))) == "nxdomain");
  CHECK(outcome(join_replies(failure(Error::kNodata), failure(Error::kNodata))) == "nodata");
  // A name with no address of one family exists.
  CHECK(outcome(join_replies(failure(Error::kNxdomain), failure(Error::kNodata))) == "nodata");
  CHECK(outcome(join_replies(failure(Error::kNodata), failure(Error::kNxdomain))) == "nodata");

  const auto joined = join_replies(failure(Error::kNodata, 50), failure(Error::kNodata, 40));
  CHECK(joined.ttl == 40U);
  CHECK(joined.addresses.empty());
}

TEST_CASE("that one family could not be asked for outweighs that there is none of the other") {
  const auto none = GENERATE(Error::kNodata, Error::kNxdomain);
  for (const auto error : failures()) {
    CAPTURE(error_name(error));
    for (const auto& joined :
         {join_replies(failure(error), failure(none, 30)), join_replies(failure(none, 30), failure(error))}) {
      CHECK(joined.error == error);
      // Nobody has said how long to believe it.
      CHECK_FALSE(joined.ttl);
      CHECK_FALSE(joined.complete);
    }
  }
}

TEST_CASE("of two failures one is reported") {
  const auto joined = join_replies(failure(Error::kServfail), failure(Error::kTimeout));
  CHECK((joined.error == Error::kServfail || joined.error == Error::kTimeout));
}

// Keeps what it gets.
struct Got {
  Interest interest = Interest::kWaiting;
  std::vector<Reply> replies;
};

class Keeper final : public Receiver {
 public:
  explicit Keeper(Got& got) : got_{got} {}
  Interest interest() const noexcept override { return got_.interest; }
  Interest deliver(const Reply& reply) noexcept override {
    got_.replies.push_back(reply);
    return got_.interest;
  }

 private:
  Got& got_;
};

constexpr LookupRef kIpv4Lookup{4, 1};
constexpr LookupRef kIpv6Lookup{6, 1};

struct Whole {
  Whole() {
    Waiter whole;
    whole.receiver = std::make_unique<Keeper>(got);
    whole.place = Place::take(client).value();
    whole.timeout = std::chrono::seconds{5};
    whole.deadline = deadline;
    auto halves = joins.split(std::move(whole));
    ipv4 = std::move(halves.ipv4);
    ipv6 = std::move(halves.ipv6);
    AddressJoins::set_lookups(*halves.join, kIpv4Lookup, kIpv6Lookup);
  }

  Got got;
  AddressJoins joins;
  std::shared_ptr<Client> client = std::make_shared<Client>(ClientOptions{});
  Waiter::Clock::time_point deadline = Waiter::Clock::now() + std::chrono::hours{1};
  Waiter ipv4;
  Waiter ipv6;
};

TEST_CASE("the caller of a split lookup is answered once both parts are whichever comes first") {
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
  auto [ipv4, ipv6, join] = joins.split(std::move(whole));
  join.reset();
  CHECK_FALSE(Place::take(client));
  ipv4 = {};
  CHECK_FALSE(Place::take(client));
  ipv6 = {};
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
  // Nobody waits for the other one, and what it says is for nobody.
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

TEST_CASE("a lookup whose families both were answered is not ended again") {
  Whole split;
  split.ipv4.finish(kIpv4);
  split.ipv6.finish(kIpv6);
  CHECK(split.joins.end_late(split.deadline).empty());
  CHECK(split.got.replies.size() == 1);
}

}  // namespace
}  // namespace caravan
