#include "catch.hpp"
#include "core/wire/dns_message.hpp"
#include "support/dns_builder.hpp"
#include "support/reply_text.hpp"

// Negative answers, and replies that must not be taken for one.
namespace caravan {
namespace {

using test::decode;
using test::DnsBuilder;
using test::Lines;
using test::outcome;
using test::Section;

const Question kQuestion{"app.example", RecordType::kSrv};

DnsBuilder reply_with(unsigned rcode) { return DnsBuilder{"app.example"}.rcode(rcode); }

TEST_CASE("a name that does not exist differs from one without such records") {
  CHECK(outcome(decode(reply_with(3), kQuestion)) == "nxdomain");
  CHECK(outcome(decode(reply_with(0), kQuestion)) == "nodata");
}

TEST_CASE("a negative answer has the lesser TTL of its SOA record") {
  const auto ttl_of = [](std::uint32_t ttl, std::uint32_t minimum, unsigned rcode) {
    return decode(reply_with(rcode).in(Section::kAuthority).soa("example", ttl, minimum), kQuestion).ttl;
  };
  const auto rcode = GENERATE(0U, 3U);
  CHECK(ttl_of(300, 60, rcode) == 60U);
  CHECK(ttl_of(60, 300, rcode) == 60U);
  CHECK(ttl_of(0x80000000, 300, rcode) == 0U);
  CHECK(ttl_of(300, 0, rcode) == 0U);
}

TEST_CASE("a negative answer without an SOA record has no TTL") {
  CHECK(decode(reply_with(3), kQuestion).ttl == std::nullopt);
  CHECK(decode(reply_with(0), kQuestion).ttl == std::nullopt);
  // An SOA record in another section, or too short to have a MINIMUM field, is ignored.
  CHECK(decode(reply_with(3).in(Section::kAdditional).soa("example", 300, 60), kQuestion).ttl == std::nullopt);
  CHECK(decode(reply_with(3).in(Section::kAuthority).record("example", 6, 300, {0, 0, 1}), kQuestion).ttl ==
        std::nullopt);
}

TEST_CASE("an alias to a name without such records is NODATA") {
  const auto reply =
      decode(reply_with(0).cname("app.example", 5, "other.example").in(Section::kAuthority).soa("example", 300, 60),
             kQuestion);
  CHECK(outcome(reply) == "nodata");
  // The alias may have another target in five seconds.
  CHECK(reply.ttl == 5U);
}

TEST_CASE("an alias of a nameserver that does not recurse is no negative answer") {
  const auto with_alias = [] { return reply_with(0).cname("app.example", 5, "other.example"); };
  CHECK(outcome(decode(with_alias().without_recursion(), kQuestion)) == "refused");
  CHECK(outcome(decode(with_alias().without_recursion().authoritative(), kQuestion)) == "refused");
  CHECK(outcome(decode(with_alias(), kQuestion)) == "nodata");
  auto with_soa = with_alias().without_recursion().in(Section::kAuthority).soa("example", 300, 60);
  CHECK(outcome(decode(with_soa, kQuestion)) == "nodata");
}

TEST_CASE("NS records beside a target of a single dot are no referral") {
  auto reply =
      reply_with(0).srv("app.example", 30, 0, 0, 0, ".").in(Section::kAuthority).ns("example", 300, "ns.example");
  CHECK(outcome(decode(reply, kQuestion)) == "nodata");
}

TEST_CASE("a truncated reply without records is no referral") {
  const auto reply =
      decode(reply_with(0).truncated().in(Section::kAuthority).ns("example", 300, "ns.example"), kQuestion);
  CHECK(reply.truncated);
  REQUIRE(reply.error);
  CHECK(is_negative_answer(*reply.error));
}

TEST_CASE("records beside NXDOMAIN are ignored") {
  const auto reply = decode(reply_with(3).srv("app.example", 30, 0, 0, 1, "n1.example"), kQuestion);
  CHECK(outcome(reply) == "nxdomain");
  CHECK(reply.srv.empty());
}

TEST_CASE("error codes of a nameserver keep their meaning") {
  CHECK(outcome(decode(reply_with(1), kQuestion)) == "formerr");
  CHECK(outcome(decode(reply_with(2), kQuestion)) == "servfail");
  CHECK(outcome(decode(reply_with(4), kQuestion)) == "notimp");
  CHECK(outcome(decode(reply_with(5), kQuestion)) == "refused");
  for (unsigned rcode = 6; rcode < 16; ++rcode) {
    CAPTURE(rcode);
    CHECK(outcome(decode(reply_with(rcode), kQuestion)) == "notimp");
  }
}

TEST_CASE("a failure carries no records and no time to live") {
  const auto reply = decode(
      reply_with(2).srv("app.example", 30, 0, 0, 1, "n1.example").in(Section::kAuthority).soa("example", 300, 60),
      kQuestion);
  CHECK(outcome(reply) == "servfail");
  CHECK(reply.srv.empty());
  CHECK(reply.ttl == std::nullopt);
}

TEST_CASE("only NXDOMAIN and NODATA are negative answers") {
  for (const auto& error : kErrors) {
    CAPTURE(error.name);
    CHECK(is_negative_answer(error.code) == (error.code == Error::kNxdomain || error.code == Error::kNodata));
  }
}

// NS records without an SOA record are a referral to other nameservers (RFC 2308, section 2.2). A nameserver that does
// not recurse, or not for this client, replies so.
TEST_CASE("a referral is not NODATA") {
  const auto reply = decode(reply_with(0).in(Section::kAuthority).ns("example", 300, "ns.example"), kQuestion);
  REQUIRE(reply.error);
  CHECK_FALSE(is_negative_answer(*reply.error));
}

TEST_CASE("an authoritative server may send NS records beside NODATA") {
  auto from_owner = reply_with(0).authoritative();
  CHECK(outcome(decode(from_owner.in(Section::kAuthority).ns("example", 300, "ns.example"), kQuestion)) == "nodata");
  auto from_cache = reply_with(0).in(Section::kAuthority).ns("example", 300, "ns.example").soa("example", 300, 60);
  CHECK(outcome(decode(from_cache, kQuestion)) == "nodata");
}

// RFC 6891, section 6.1.3: the upper eight bits of the code are in the OPT record; 16 is BADVERS.
TEST_CASE("an extended response code is not NODATA") {
  constexpr std::uint32_t kBadvers = 0x01000000;
  const auto reply =
      decode(reply_with(0).in(Section::kAdditional).record(".", DnsBuilder::kTypeOpt, kBadvers, {}, 4096), kQuestion);
  REQUIRE(reply.error);
  CHECK_FALSE(is_negative_answer(*reply.error));
}

}  // namespace
}  // namespace caravan
