#include "catch.hpp"
#include "core/wire/dns_message.hpp"
#include "support/dns_builder.hpp"
#include "support/reply_text.hpp"

// An authoritative "there is none", and everything that must not be taken for it.
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

TEST_CASE("a negative answer may be believed for the lesser time of its SOA record") {
  const auto ttl_of = [](std::uint32_t ttl, std::uint32_t minimum, unsigned rcode) {
    return decode(reply_with(rcode).in(Section::kAuthority).soa("example", ttl, minimum), kQuestion).ttl;
  };
  const auto rcode = GENERATE(0U, 3U);
  CHECK(ttl_of(300, 60, rcode) == 60U);
  CHECK(ttl_of(60, 300, rcode) == 60U);
  CHECK(ttl_of(0x80000000, 300, rcode) == 0U);
  CHECK(ttl_of(300, 0, rcode) == 0U);
}

TEST_CASE("without an SOA record nobody knows how long a negative answer holds") {
  CHECK(decode(reply_with(3), kQuestion).ttl == std::nullopt);
  CHECK(decode(reply_with(0), kQuestion).ttl == std::nullopt);
  // Elsewhere, or too short to have a MINIMUM field, it says nothing.
  CHECK(decode(reply_with(3).in(Section::kAdditional).soa("example", 300, 60), kQuestion).ttl == std::nullopt);
  CHECK(decode(reply_with(3).in(Section::kAuthority).record("example", 6, 300, {0, 0, 1}), kQuestion).ttl ==
        std::nullopt);
}

TEST_CASE("an alias to a name without such records is no data") {
  const auto reply =
      decode(reply_with(0).cname("app.example", 5, "other.example").in(Section::kAuthority).soa("example", 300, 60),
             kQuestion);
  CHECK(outcome(reply) == "nodata");
  // What the alias leads to may be another name in five seconds.
  CHECK(reply.ttl == 5U);
}

TEST_CASE("a nameserver that does not recurse says nothing of what an alias leads to") {
  const auto with_alias = [] { return reply_with(0).cname("app.example", 5, "other.example"); };
  CHECK(outcome(decode(with_alias().without_recursion(), kQuestion)) == "refused");
  CHECK(outcome(decode(with_alias().without_recursion().authoritative(), kQuestion)) == "refused");
  CHECK(outcome(decode(with_alias(), kQuestion)) == "nodata");
  auto with_soa = with_alias().without_recursion().in(Section::kAuthority).soa("example", 300, 60);
  CHECK(outcome(decode(with_soa, kQuestion)) == "nodata");
}

TEST_CASE("a target of a single dot is a word that nameservers beside it do not take back") {
  auto reply =
      reply_with(0).srv("app.example", 30, 0, 0, 0, ".").in(Section::kAuthority).ns("example", 300, "ns.example");
  CHECK(outcome(decode(reply, kQuestion)) == "nodata");
}

TEST_CASE("a truncated reply without records is none that refers to other nameservers") {
  const auto reply =
      decode(reply_with(0).truncated().in(Section::kAuthority).ns("example", 300, "ns.example"), kQuestion);
  CHECK(reply.truncated);
  REQUIRE(reply.error);
  CHECK(is_negative_answer(*reply.error));
}

TEST_CASE("records beside the answer that the name does not exist are not believed") {
  const auto reply = decode(reply_with(3).srv("app.example", 30, 0, 0, 1, "n1.example"), kQuestion);
  CHECK(outcome(reply) == "nxdomain");
  CHECK(reply.srv.empty());
}

TEST_CASE("what a nameserver cannot or will not say keeps its meaning") {
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

TEST_CASE("only no such name and no such record are negative answers") {
  for (const auto& error : kErrors) {
    CAPTURE(error.name);
    CHECK(is_negative_answer(error.code) == (error.code == Error::kNxdomain || error.code == Error::kNodata));
  }
}

// RFC 2308, section 2.2: NS records without an SOA record refer to other nameservers and say nothing about the name. A
// nameserver that does not recurse, or does not for us, answers so.
TEST_CASE("a referral to other nameservers is not taken for no data") {
  const auto reply = decode(reply_with(0).in(Section::kAuthority).ns("example", 300, "ns.example"), kQuestion);
  REQUIRE(reply.error);
  CHECK_FALSE(is_negative_answer(*reply.error));
}

TEST_CASE("the owner of a zone may name its nameservers beside no data") {
  auto from_owner = reply_with(0).authoritative();
  CHECK(outcome(decode(from_owner.in(Section::kAuthority).ns("example", 300, "ns.example"), kQuestion)) == "nodata");
  auto from_cache = reply_with(0).in(Section::kAuthority).ns("example", 300, "ns.example").soa("example", 300, 60);
  CHECK(outcome(decode(from_cache, kQuestion)) == "nodata");
}

// RFC 6891, section 6.1.3: the upper eight bits of the code are in the OPT record; 16 is BADVERS.
TEST_CASE("an extended response code is not taken for no data") {
  constexpr std::uint32_t kBadvers = 0x01000000;
  const auto reply =
      decode(reply_with(0).in(Section::kAdditional).record(".", DnsBuilder::kTypeOpt, kBadvers, {}, 4096), kQuestion);
  REQUIRE(reply.error);
  CHECK_FALSE(is_negative_answer(*reply.error));
}

}  // namespace
}  // namespace caravan
