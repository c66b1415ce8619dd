#include <algorithm>
#include <string>

#include "catch.hpp"
#include "core/wire/dns_message.hpp"
#include "support/dns_builder.hpp"
#include "support/reply_text.hpp"

// RFC 1034, section 3.6.2: the records asked for may stand under another name, at the end of a chain of CNAME records.
namespace caravan {
namespace {

using test::decode;
using test::DnsBuilder;
using test::Lines;
using test::outcome;
using test::Section;
using test::srv_lines;

const Question kQuestion{"a0.example", RecordType::kSrv};

std::string alias(int number) { return "a" + std::to_string(number) + ".example"; }

// a0 -> a1 -> ... -> a<length>, which has the record.
DnsBuilder chain(int length) {
  DnsBuilder builder{"a0.example"};
  for (int i = 0; i < length; ++i) {
    builder.cname(alias(i), 30, alias(i + 1));
  }
  return builder.srv(alias(length), 30, 0, 0, 1, "n1.example");
}

TEST_CASE("records are found behind aliases") {
  CHECK(srv_lines(decode(chain(1), kQuestion)) == Lines{"0 0 1 n1.example 30"});
  CHECK(srv_lines(decode(chain(3), kQuestion)) == Lines{"0 0 1 n1.example 30"});
}

TEST_CASE("aliases may come in any order") {
  std::vector<int> order{0, 1, 2, 3};
  do {
    DnsBuilder builder{"a0.example"};
    for (const int i : order) {
      if (i == 3) {
        builder.srv(alias(3), 30, 0, 0, 1, "n1.example");
      } else {
        builder.cname(alias(i), 30, alias(i + 1));
      }
    }
    CAPTURE(order);
    CHECK(srv_lines(decode(builder, kQuestion)) == Lines{"0 0 1 n1.example 30"});
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_CASE("the time to live of an alias counts") {
  const auto reply =
      decode(DnsBuilder{"a0.example"}.cname(alias(0), 5, alias(1)).srv(alias(1), 30, 0, 0, 1, "n1.example"), kQuestion);
  CHECK(reply.ttl == 5U);
  CHECK(srv_lines(reply) == Lines{"0 0 1 n1.example 30"});
}

TEST_CASE("aliases of other names do not count") {
  const auto reply = decode(DnsBuilder{"a0.example"}
                                .cname("other.example", 1, "n9.example")
                                .srv("a0.example", 30, 0, 0, 1, "n1.example")
                                .in(Section::kAdditional)
                                .cname("a0.example", 1, "other.example"),
                            kQuestion);
  CHECK(srv_lines(reply) == Lines{"0 0 1 n1.example 30"});
  CHECK(reply.ttl == 30U);
}

TEST_CASE("records of a name that is an alias are not those of its target") {
  const auto reply = decode(DnsBuilder{"a0.example"}
                                .srv("a0.example", 30, 0, 0, 9, "n9.example")
                                .cname("a0.example", 30, "a1.example")
                                .srv("a1.example", 30, 0, 0, 1, "n1.example"),
                            kQuestion);
  CHECK(srv_lines(reply) == Lines{"0 0 1 n1.example 30"});
}

TEST_CASE("the first of two aliases of a name is followed") {
  const auto reply = decode(DnsBuilder{"a0.example"}
                                .cname("a0.example", 30, "a1.example")
                                .cname("a0.example", 30, "a2.example")
                                .srv("a2.example", 30, 0, 0, 2, "n2.example")
                                .srv("a1.example", 30, 0, 0, 1, "n1.example"),
                            kQuestion);
  CHECK(srv_lines(reply) == Lines{"0 0 1 n1.example 30"});
}

TEST_CASE("a loop of aliases is a bad response") {
  CHECK(outcome(decode(DnsBuilder{"a0.example"}.cname(alias(0), 30, alias(0)), kQuestion)) == "badresp");
  CHECK(outcome(decode(DnsBuilder{"a0.example"}.cname(alias(0), 30, alias(1)).cname(alias(1), 30, alias(0)),
                       kQuestion)) == "badresp");
}

TEST_CASE("a chain of aliases is followed to a limit") {
  CHECK(outcome(decode(chain(15), kQuestion)) == "ok");
  CHECK(outcome(decode(chain(17), kQuestion)) == "badresp");
  CHECK(outcome(decode(chain(1000), kQuestion)) == "badresp");
}

// The longest chain that kMaxAliases allows.
TEST_CASE("a chain of sixteen aliases is followed") { CHECK(outcome(decode(chain(16), kQuestion)) == "ok"); }

TEST_CASE("an alias whose target is malformed is a bad response") {
  const auto with_data = [](const test::Bytes& data) {
    return outcome(decode(DnsBuilder{"a0.example"}.record("a0.example", 5, 30, data), kQuestion));
  };
  CHECK(with_data({}) == "badresp");
  CHECK(with_data({1, 'a'}) == "badresp");
  CHECK(with_data({0xC0, 0xFF}) == "badresp");
  // There are octets after the name.
  CHECK(with_data({1, 'a', 0, 0}) == "badresp");
}

TEST_CASE("an alias to the root has no records") {
  CHECK(outcome(decode(DnsBuilder{"a0.example"}.cname("a0.example", 30, "."), kQuestion)) == "nodata");
}

}  // namespace
}  // namespace caravan
