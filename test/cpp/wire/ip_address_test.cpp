#include "core/wire/ip_address.hpp"

#include <string>

#include "catch.hpp"

namespace caravan {
namespace {

using namespace std::string_view_literals;

// As to_string() writes it, or "none".
std::string nameserver(std::string_view text) {
  const auto parsed = parse_nameserver(text);
  return parsed ? parsed->to_string() : "none";
}

TEST_CASE("the port of a nameserver is 53 unless it is given") {
  CHECK(nameserver("127.0.0.1") == "127.0.0.1:53");
  CHECK(nameserver("127.0.0.1:8600") == "127.0.0.1:8600");
  CHECK(nameserver("::1") == "[::1]:53");
  CHECK(nameserver("[::1]") == "[::1]:53");
  CHECK(nameserver("[::1]:8600") == "[::1]:8600");
  CHECK(nameserver("127.0.0.1:1") == "127.0.0.1:1");
  CHECK(nameserver("127.0.0.1:65535") == "127.0.0.1:65535");
}

TEST_CASE("an IPv6 address may be written in any of its forms") {
  CHECK(nameserver("2001:DB8:0:0:0:0:0:1") == "[2001:db8::1]:53");
  CHECK(nameserver("::") == "[::]:53");
  CHECK(nameserver("::ffff:10.0.0.1") == "[::ffff:10.0.0.1]:53");
  CHECK(nameserver("[0000:0000:0000:0000:0000:ffff:192.168.100.228]:53") == "[::ffff:192.168.100.228]:53");
}

TEST_CASE("texts that are no nameserver are refused") {
  for (const auto text : {
           ""sv,
           "localhost"sv,
           "localhost:53"sv,
           "ns.example"sv,
           "127.0.0"sv,
           "127.0.0.256"sv,
           "1.2.3.4.5"sv,
           "127.0.0.01x"sv,
           " 127.0.0.1"sv,
           "127.0.0.1 "sv,
           "127.0.0.1/8"sv,
           // Ports.
           "127.0.0.1:"sv,
           "127.0.0.1:0"sv,
           "127.0.0.1:65536"sv,
           "127.0.0.1:-1"sv,
           "127.0.0.1:+53"sv,
           "127.0.0.1: 53"sv,
           "127.0.0.1:53x"sv,
           "127.0.0.1:0x35"sv,
           ":53"sv,
           "127.0.0.1:53:53"sv,
           // Brackets.
           "["sv,
           "[]"sv,
           "[::1"sv,
           "::1]"sv,
           "[::1]53"sv,
           "[::1]:"sv,
           "[::1]:0"sv,
           "[::1]:65536"sv,
           "[[::1]]"sv,
           // Scopes.
           "127.0.0.1%eth0"sv,
           "127.0.0.1%eth0:53"sv,
           "fe80::1%"sv,
           "[fe80::1%]:53"sv,
           "fe80::1%a%b"sv,
           "fe80::1%a b"sv,
           "fe80::1%sixteen-letters-"sv,
           "[fe80::1]%eth0:53"sv,
           "%eth0"sv,
           ":::"sv,
           "1:2:3:4:5:6:7:8:9"sv,
           "[1:2]"sv,
       }) {
    CAPTURE(text);
    CHECK(nameserver(text) == "none");
  }
  CHECK(nameserver(std::string(1000, '1')) == "none");
}

TEST_CASE("a nameserver of IPv6 may have a scope") {
  const auto with_scope = [](std::string_view text) {
    const auto parsed = parse_nameserver(text);
    REQUIRE(parsed);
    return parsed->to_string() + ' ' + parsed->scope.data();
  };
  CHECK(with_scope("fe80::1%eth0") == "[fe80::1]:53 eth0");
  CHECK(with_scope("[fe80::1%eth0]") == "[fe80::1]:53 eth0");
  CHECK(with_scope("[fe80::1%2]:8600") == "[fe80::1]:8600 2");
  CHECK(with_scope("fe80::1%fifteen-letters") == "[fe80::1]:53 fifteen-letters");
  CHECK(with_scope("fe80::1") == "[fe80::1]:53 ");
  CHECK(parse_nameserver("fe80::1%eth0") != parse_nameserver("fe80::1%eth1"));
}

// inet_pton(3) reads up to the NUL.
TEST_CASE("a text with a NUL in it is no nameserver") {
  CHECK(nameserver("127.0.0.1\0.evil"sv) == "none");
  CHECK(nameserver("127.0.0.1\0:53"sv) == "none");
  CHECK(nameserver("[::1\0]:53"sv) == "none");
}

TEST_CASE("an address takes as many octets as its family has") {
  const auto v4 = parse_ip_address("10.0.0.1");
  REQUIRE(v4);
  CHECK(v4->family == Family::kInet);
  CHECK(v4->size() == 4);
  CHECK(v4->bytes[0] == 10);
  CHECK(v4->bytes[3] == 1);

  const auto v6 = parse_ip_address("2001:db8::1");
  REQUIRE(v6);
  CHECK(v6->family == Family::kInet6);
  CHECK(v6->size() == 16);
  CHECK(v6->bytes[0] == 0x20);
  CHECK(v6->bytes[15] == 1);

  CHECK_FALSE(parse_ip_address("[::1]"));
  CHECK_FALSE(parse_ip_address("10.0.0.1:53"));
}

TEST_CASE("equal nameservers are one endpoint") {
  CHECK(parse_nameserver("127.0.0.1") == parse_nameserver("127.0.0.1:53"));
  CHECK(parse_nameserver("::1") == parse_nameserver("[0:0::1]:53"));
  CHECK(parse_nameserver("127.0.0.1:53") != parse_nameserver("127.0.0.1:54"));
  // The same octets in another family are another address.
  CHECK(parse_ip_address("0.0.0.0") != parse_ip_address("::"));
}

}  // namespace
}  // namespace caravan
