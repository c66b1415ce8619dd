#include <string>

#include "catch.hpp"
#include "core/wire/dns_message.hpp"
#include "core/wire/dns_sections.hpp"
#include "support/dns_builder.hpp"
#include "support/random_text.hpp"
#include "support/reply_text.hpp"

// The decoder must stay within any bytes that it gets, and must not believe malformed ones.
namespace caravan {
namespace {

using test::Bytes;
using test::concat;
using test::decode;
using test::DnsBuilder;
using test::Lines;
using test::outcome;
using test::Section;
using test::srv_lines;

const Question kQuestion{"app.example", RecordType::kSrv};

DnsBuilder srv_reply() { return DnsBuilder{"app.example"}; }

// A message with everything that a valid one may have.
DnsBuilder rich_reply() {
  return DnsBuilder{"app.example"}
      .cname(test::question_pointer(), 30, "real.example")
      .srv("real.example", 30, 1, 2, 4370, concat({test::label("n1"), test::pointer(16)}))
      .srv("real.example", 30, 1, 2, 4371, "n2.example")
      .in(Section::kAuthority)
      .soa("example", 300, 60)
      .in(Section::kAdditional)
      .a("n1.example", 30, "10.0.0.1")
      .aaaa("n2.example", 30, "2001:db8::2")
      .record(".", DnsBuilder::kTypeOpt, 0, {}, 4096);
}

Bytes prefix(const Bytes& message, std::size_t size) {
  return {message.begin(), message.begin() + static_cast<std::ptrdiff_t>(size)};
}

TEST_CASE("a message that ends early without TC is a bad response") {
  const auto whole = rich_reply().build();
  REQUIRE(outcome(decode(whole, kQuestion)) == "ok");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK(outcome(decode(prefix(whole, size), kQuestion)) == "badresp");
  }
}

TEST_CASE("records before the end of a truncated message count") {
  auto builder = srv_reply().truncated();
  const auto header_and_question = builder.position();
  builder.srv("app.example", 30, 0, 0, 1, "n1.example");
  const auto first_record = builder.position();
  builder.srv("app.example", 30, 0, 0, 2, "n2.example");
  const auto whole = builder.build();

  for (std::size_t size = 0; size <= whole.size(); ++size) {
    CAPTURE(size);
    const auto reply = decode(prefix(whole, size), kQuestion);
    if (size < header_and_question) {
      CHECK(outcome(reply) == "badresp");
      continue;
    }
    CHECK(reply.truncated);
    CHECK_FALSE(reply.complete);
    CHECK(reply.srv.size() == (size < first_record ? 0U : size < whole.size() ? 1U : 2U));
    CHECK(outcome(reply) == (reply.srv.empty() ? "nodata" : "ok"));
  }
}

TEST_CASE("octets after the last record are ignored") {
  CHECK(outcome(decode(rich_reply().raw({1, 2, 3}), kQuestion)) == "ok");
}

TEST_CASE("a reply to another question is a bad response") {
  const auto with_record = [](DnsBuilder builder) {
    return outcome(decode(builder.srv("app.example", 30, 0, 0, 1, "n1.example"), kQuestion));
  };
  CHECK(with_record(DnsBuilder{"app.example"}) == "ok");
  CHECK(with_record(DnsBuilder{"other.example"}) == "badresp");
  CHECK(with_record(DnsBuilder{"app.example.evil"}) == "badresp");
  CHECK(with_record(DnsBuilder{"."}) == "badresp");
  CHECK(with_record(DnsBuilder{"app.example", RecordType::kA}) == "badresp");
  CHECK(with_record(DnsBuilder{"app.example", RecordType::kSrv, 3}) == "badresp");
  CHECK(with_record(DnsBuilder{concat({test::label("app.example"), test::kRootLabel})}) == "badresp");
}

TEST_CASE("a message that is a query itself is a bad response") {
  CHECK(outcome(decode(rich_reply().as_query(), kQuestion)) == "badresp");
}

TEST_CASE("a message has exactly one question") {
  CHECK(outcome(decode(srv_reply().claim(Section::kQuestion, 0), kQuestion)) == "badresp");
  CHECK(outcome(decode(srv_reply().claim(Section::kQuestion, 2), kQuestion)) == "badresp");
  CHECK(outcome(decode(srv_reply().claim(Section::kQuestion, 65535), kQuestion)) == "badresp");
}

TEST_CASE("counts above the number of records are a bad response") {
  for (const auto section : {Section::kAnswer, Section::kAuthority, Section::kAdditional}) {
    auto builder = srv_reply().srv("app.example", 30, 0, 0, 1, "n1.example").claim(section, 65535);
    CHECK(outcome(decode(builder, kQuestion)) == "badresp");
    CHECK(outcome(decode(builder.truncated(), kQuestion)) == "ok");
  }
}

TEST_CASE("records beyond the counts are ignored") {
  const auto reply = decode(srv_reply()
                                .srv("app.example", 30, 0, 0, 1, "n1.example")
                                .srv("app.example", 30, 0, 0, 2, "n2.example")
                                .claim(Section::kAnswer, 1),
                            kQuestion);
  CHECK(srv_lines(reply) == Lines{"0 0 1 n1.example 30"});
}

TEST_CASE("data that does not fit its length is a bad response") {
  const auto data = concat({test::u16(0), test::u16(0), test::u16(1), test::WireName{"n1.example"}.octets()});
  for (const std::size_t claimed :
       {std::size_t{0}, std::size_t{5}, data.size() - 1, data.size() + 1, std::size_t{65535}}) {
    CAPTURE(claimed);
    CHECK(outcome(decode(srv_reply().record_claiming(claimed, "app.example", 33, 30, data), kQuestion)) == "badresp");
  }
  CHECK(outcome(decode(srv_reply().record("app.example", 33, 30, concat({data, {0}})), kQuestion)) == "badresp");

  const Question a_question{"n1.example", RecordType::kA};
  for (const auto& octets : {Bytes{}, Bytes{10, 0, 0}, Bytes{10, 0, 0, 1, 0}}) {
    CHECK(outcome(decode(DnsBuilder{"n1.example", RecordType::kA}.record("n1.example", 1, 30, octets), a_question)) ==
          "badresp");
  }
}

TEST_CASE("a compression pointer that leads nowhere is a bad response") {
  const auto target_at = srv_reply().position() + test::WireName{"app.example"}.octets().size() + 16;
  for (const std::size_t target : {target_at, target_at + 1, target_at + 2, std::size_t{0x3FFF}}) {
    CAPTURE(target, target_at);
    CHECK(outcome(decode(srv_reply().srv("app.example", 30, 0, 0, 1, test::pointer(target)), kQuestion)) == "badresp");
  }
  CHECK(outcome(decode(srv_reply().a(test::pointer(srv_reply().position()), 30, "10.0.0.1"), kQuestion)) == "badresp");
}

TEST_CASE("a name that compression makes too long is a bad response") {
  // Four labels of 63 octets. The last one follows a pointer.
  const auto label63 = test::label(std::string(63, 'a'));
  auto builder = srv_reply();
  const auto stored_at = builder.position() + 10 + 1;
  builder.record(".", DnsBuilder::kTypeTxt, 30, concat({label63, test::kRootLabel}));
  builder.srv("app.example", 30, 0, 0, 1, concat({label63, label63, label63, test::pointer(stored_at)}));
  CHECK(outcome(decode(builder, kQuestion)) == "badresp");
}

TEST_CASE("pointers chained through a whole message are followed without recursion") {
  constexpr std::size_t kPointers = 8000;
  auto builder = srv_reply();
  const auto chain_at = builder.position() + 11;
  Bytes chain = test::question_pointer();
  for (std::size_t i = 1; i < kPointers; ++i) {
    const auto next = test::pointer(chain_at + 2 * (i - 1));
    chain.insert(chain.end(), next.begin(), next.end());
  }
  builder.record(".", DnsBuilder::kTypeTxt, 30, chain);
  builder.srv(test::pointer(chain_at + 2 * (kPointers - 1)), 30, 0, 0, 1, "n1.example");
  const auto reply = decode(builder, kQuestion);
  // No valid message looks like this. Records or an error are fine, but the decoder must return.
  CHECK((outcome(reply) == "ok" || outcome(reply) == "badresp"));
}

TEST_CASE("messages with octets changed at random are read within their bounds") {
  const auto seed = GENERATE(31U, 32U, 33U, 34U);
  test::RandomText random{seed};
  const auto valid = rich_reply().build();
  for (int i = 0; i < 5000; ++i) {
    auto message = prefix(valid, valid.size() - random.below(2) * random.below(valid.size()));
    for (auto changes = random.below(4); changes > 0 && !message.empty(); --changes) {
      message[random.below(message.size())] = static_cast<std::uint8_t>(random.below(256));
    }
    const auto reply = decode(message, kQuestion);
    if (reply.error ? !reply.srv.empty() : reply.srv.empty() || !reply.ttl) {
      CAPTURE(seed, i, outcome(reply), test::in_hex({reinterpret_cast<const char*>(message.data()), message.size()}));
      FAIL("the reply contradicts itself");
    }
  }
}

// Each octet of a label is four octets of text, and each name points to the one before, so 64 KiB would become
// megabytes.
TEST_CASE("the text of the names of a message is bounded") {
  const auto labels = concat({test::label(std::string(63, '\0')), test::label(std::string(63, '\0')),
                              test::label(std::string(63, '\0')), test::pointer(12)});
  auto first = srv_reply().srv(test::question_pointer(), 30, 0, 0, 4370, labels);
  // The target of the first record: behind header, question, and the record's owner, fields and numbers.
  const auto target = test::pointer(12 + 13 + 4 + 2 + 10 + 6);
  for (int i = 0; i < 2500; ++i) {
    first.srv(test::question_pointer(), 30, 0, 0, 4370, target);
  }
  const auto reply = decode(first.build(), kQuestion);
  CHECK(outcome(reply) == "badresp");
  CHECK(reply.text.size() <= 2 * kMaxNamesText);
}

TEST_CASE("owners in the authority section are not read") {
  const auto owner = concat({test::label(std::string(63, '\0')), test::pointer(12)});
  auto message = srv_reply().srv(test::question_pointer(), 30, 0, 0, 4370, "n1.example").in(Section::kAuthority);
  for (int i = 0; i < 700; ++i) {
    message.record(owner, static_cast<std::uint16_t>(RecordType::kNs), 30, concat({test::pointer(12)}));
  }
  const auto octets = message.build();
  const auto reply = decode(octets, kQuestion);
  CHECK(outcome(reply) == "ok");
  CHECK(reply.text.size() < 100);
}

}  // namespace
}  // namespace caravan
