#include "core/wire/dns_message.hpp"

#include <string>

#include "catch.hpp"
#include "core/wire/dns_name.hpp"
#include "support/dns_builder.hpp"
#include "support/reply_text.hpp"

namespace caravan {
namespace {

using test::address_lines;
using test::Bytes;
using test::decode;
using test::DnsBuilder;
using test::glue_lines;
using test::Lines;
using test::outcome;
using test::Section;
using test::srv_lines;

const Question kSrvQuestion{"app.example", RecordType::kSrv};
const Question kAQuestion{"n1.example", RecordType::kA};
const Question kAaaaQuestion{"n1.example", RecordType::kAaaa};

DnsBuilder srv_reply() { return DnsBuilder{"app.example"}; }

TEST_CASE("SRV records come in the order of the message with all their fields") {
  const auto reply = decode(srv_reply()
                                .srv("app.example", 30, 10, 5, 4370, "n1.example")
                                .srv("app.example", 60, 0, 65535, 65535, "n2.example"),
                            kSrvQuestion);
  CHECK(outcome(reply) == "ok");
  CHECK(srv_lines(reply) == Lines{"10 5 4370 n1.example 30", "0 65535 65535 n2.example 60"});
  CHECK_FALSE(reply.truncated);
  CHECK(reply.addresses.empty());
  // Only the resolver knows the transport of the message.
  CHECK_FALSE(reply.complete);
}

TEST_CASE("addresses come for A and for AAAA questions") {
  const auto v4 =
      decode(DnsBuilder{"n1.example", RecordType::kA}.a("n1.example", 30, "10.0.0.1").a("n1.example", 20, "10.0.0.2"),
             kAQuestion);
  CHECK(outcome(v4) == "ok");
  CHECK(address_lines(v4) == Lines{"10.0.0.1 30", "10.0.0.2 20"});

  const auto v6 =
      decode(DnsBuilder{"n1.example", RecordType::kAaaa}.aaaa("n1.example", 30, "2001:db8::1"), kAaaaQuestion);
  CHECK(address_lines(v6) == Lines{"2001:db8::1 30"});
}

TEST_CASE("the time to live of an answer is the least one in it") {
  const auto reply = decode(srv_reply()
                                .srv("app.example", 30, 0, 0, 1, "n1.example")
                                .srv("app.example", 7, 0, 0, 2, "n2.example")
                                .srv("app.example", 60, 0, 0, 3, "n3.example"),
                            kSrvQuestion);
  CHECK(reply.ttl == 7U);
}

TEST_CASE("a time to live with the top bit set counts as zero") {
  const auto ttl_of = [](std::uint32_t ttl) {
    return decode(srv_reply().srv("app.example", ttl, 0, 0, 1, "n1.example"), kSrvQuestion).ttl;
  };
  CHECK(ttl_of(0x7FFFFFFF) == 0x7FFFFFFFU);
  CHECK(ttl_of(0x80000000) == 0U);
  CHECK(ttl_of(0xFFFFFFFF) == 0U);
  CHECK(ttl_of(0) == 0U);
}

TEST_CASE("names are compared without regard to case") {
  const auto reply = decode(DnsBuilder{"APP.Example"}
                                .srv("app.EXAMPLE", 30, 0, 0, 1, "N1.example")
                                .in(Section::kAdditional)
                                .a("n1.EXAMPLE", 30, "10.0.0.1"),
                            Question{"aPP.example", RecordType::kSrv});
  // The target keeps the case of the record.
  CHECK(srv_lines(reply) == Lines{"0 0 1 N1.example 30"});
  CHECK(glue_lines(reply) == Lines{"N1.example 10.0.0.1 30"});
}

TEST_CASE("glue is sorted by target and keeps the order of the reply") {
  const auto reply = decode(srv_reply()
                                .srv("app.example", 30, 0, 0, 1, "n2.example")
                                .srv("app.example", 30, 0, 0, 1, "n1.example")
                                .in(Section::kAdditional)
                                .a("n2.example", 5, "10.0.0.2")
                                .a("n1.example", 6, "10.0.1.1")
                                .aaaa("n1.example", 7, "2001:db8::1")
                                .a("n1.example", 8, "10.0.0.1")
                                .a("n1.example", 9, "10.0.1.1"),
                            kSrvQuestion);
  CHECK(glue_lines(reply) ==
        Lines{"n1.example 10.0.1.1 6", "n1.example 2001:db8::1 7", "n1.example 10.0.0.1 8", "n2.example 10.0.0.2 5"});
  // Glue does not lower the TTL of the answer.
  CHECK(reply.ttl == 30U);
}

TEST_CASE("an address that is sent for every instance on a host is kept once") {
  const auto reply = decode(srv_reply()
                                .srv("app.example", 30, 0, 0, 1, "n1.example")
                                .srv("app.example", 30, 0, 0, 2, "N1.example")
                                .srv("app.example", 30, 0, 0, 3, "n2.example")
                                .in(Section::kAdditional)
                                .a("n1.example", 30, "10.0.0.1")
                                .a("n2.example", 30, "10.0.0.1")
                                .a("N1.example", 30, "10.0.0.1")
                                .a("n1.example", 30, "10.0.0.1"),
                            kSrvQuestion);
  REQUIRE(reply.glue.size() == 2);
  CHECK(equal_names(reply.view(reply.glue[0].target), "n1.example"));
  CHECK(equal_names(reply.view(reply.glue[1].target), "n2.example"));
  CHECK(reply.srv.size() == 3);
}

TEST_CASE("glue may stand in the answer section too") {
  const auto reply =
      decode(srv_reply().a("n1.example", 5, "10.0.0.1").srv("app.example", 30, 0, 0, 1, "n1.example"), kSrvQuestion);
  CHECK(glue_lines(reply) == Lines{"n1.example 10.0.0.1 5"});
}

TEST_CASE("addresses of names that are no target are ignored") {
  const auto reply = decode(srv_reply()
                                .srv("app.example", 30, 0, 0, 1, "n1.example")
                                .in(Section::kAuthority)
                                .a("n1.example", 30, "10.6.6.5")
                                .in(Section::kAdditional)
                                .a("bank.example", 30, "10.6.6.6")
                                .a("app.example", 30, "10.6.6.7")
                                .a("n1.example.evil", 30, "10.6.6.8")
                                .record("n1.example", 1, 30, {10, 6, 6, 9}, 3),
                            kSrvQuestion);
  CHECK(reply.glue.empty());
}

TEST_CASE("glue of a wrong size is ignored") {
  const auto reply = decode(srv_reply()
                                .srv("app.example", 30, 0, 0, 1, "n1.example")
                                .in(Section::kAdditional)
                                .record("n1.example", 1, 30, {10, 0, 0})
                                .record("n1.example", 28, 30, {10, 0, 0, 1})
                                .a("n1.example", 30, "10.0.0.1"),
                            kSrvQuestion);
  CHECK(outcome(reply) == "ok");
  CHECK(glue_lines(reply) == Lines{"n1.example 10.0.0.1 30"});
}

TEST_CASE("records of other names, types and classes are ignored") {
  const auto reply = decode(srv_reply()
                                .srv("other.example", 1, 0, 0, 1, "n9.example")
                                .record("app.example", DnsBuilder::kTypeTxt, 1, {1, 'x'})
                                .record("app.example", 33, 1, {0, 0, 0, 0, 0, 1, 0}, 3)  // class CH
                                .a("app.example", 1, "10.0.0.9")
                                .srv("app.example", 30, 0, 0, 1, "n1.example")
                                .in(Section::kAdditional)
                                .srv("app.example", 30, 0, 0, 1, "n8.example"),
                            kSrvQuestion);
  CHECK(srv_lines(reply) == Lines{"0 0 1 n1.example 30"});
  CHECK(reply.addresses.empty());
  CHECK(reply.ttl == 30U);
}

TEST_CASE("a target of a single dot means that there is no service") {
  const auto reply = decode(srv_reply().srv("app.example", 30, 0, 0, 0, "."), kSrvQuestion);
  CHECK(outcome(reply) == "nodata");
  CHECK(reply.srv.empty());

  const auto mixed = decode(
      srv_reply().srv("app.example", 30, 0, 0, 0, ".").srv("app.example", 30, 0, 0, 1, "n1.example"), kSrvQuestion);
  CHECK(srv_lines(mixed) == Lines{"0 0 1 n1.example 30"});
}

TEST_CASE("targets with special octets are not mistaken for other names") {
  const auto target = test::concat({test::label("n1.example"), test::label(std::string("\0@", 2)), test::kRootLabel});
  const auto reply = decode(srv_reply().srv("app.example", 30, 0, 0, 1, target), kSrvQuestion);
  CHECK(srv_lines(reply) == Lines{R"(0 0 1 n1\.example.\000@ 30)"});
}

// Consul drops records beyond this limit without setting TC.
TEST_CASE("an answer of 1024 SRV records is at the limit") {
  const auto is_at_limit = [](int records) {
    auto builder = srv_reply();
    for (int i = 0; i < records; ++i) {
      builder.srv(test::question_pointer(), 30, 1, 1, 4370, "n.test");
    }
    return decode(builder, kSrvQuestion).at_limit;
  };
  CHECK_FALSE(is_at_limit(1));
  CHECK_FALSE(is_at_limit(1023));
  CHECK(is_at_limit(1024));
  CHECK_FALSE(is_at_limit(1025));
}

TEST_CASE("an answer that has no room for one more record is at the limit") {
  constexpr std::size_t kLimit = 65000;
  const auto is_at_limit = [](std::size_t octets) {
    auto builder = srv_reply().srv(test::question_pointer(), 30, 1, 1, 4370, "n.test");
    const auto record = builder.position() - srv_reply().position();
    builder.in(Section::kAdditional);
    constexpr std::size_t kRecordWithoutData = 1 + 2 + 2 + 4 + 2;
    builder.record(".", DnsBuilder::kTypeTxt, 30, Bytes(octets - record - builder.position() - kRecordWithoutData));
    REQUIRE(builder.build().size() + record == octets);
    return decode(builder, kSrvQuestion).at_limit;
  };
  CHECK_FALSE(is_at_limit(kLimit));
  CHECK(is_at_limit(kLimit + 1));
}

TEST_CASE("the OPT record of EDNS is no answer") {
  const auto reply = decode(srv_reply()
                                .srv("app.example", 30, 0, 0, 1, "n1.example")
                                .in(Section::kAdditional)
                                .record(".", DnsBuilder::kTypeOpt, 0, {}, 4096),
                            kSrvQuestion);
  CHECK(srv_lines(reply) == Lines{"0 0 1 n1.example 30"});
}

TEST_CASE("thousands of records that fill a message are all read") {
  auto builder = srv_reply();
  std::size_t count = 0;
  for (; builder.position() < 65'400; ++count) {
    builder.srv(test::question_pointer(), 30, 0, 0, 4370,
                test::concat({test::label("n" + std::to_string(count)), test::pointer(16)}));
  }
  REQUIRE(builder.build().size() < 65'536);
  const auto reply = decode(builder, kSrvQuestion);
  REQUIRE(outcome(reply) == "ok");
  REQUIRE(reply.srv.size() == count);
  CHECK(count > 2000);
  for (std::size_t i = 0; i < count; ++i) {
    REQUIRE(reply.view(reply.srv[i].target) == "n" + std::to_string(i) + ".example");
  }
}

}  // namespace
}  // namespace caravan
