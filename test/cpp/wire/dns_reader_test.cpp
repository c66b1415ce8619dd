#include "core/wire/dns_reader.hpp"

#include <string>

#include "catch.hpp"
#include "core/wire/dns_name.hpp"
#include "support/dns_builder.hpp"

namespace caravan {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

using test::Bytes;
using test::concat;
using test::kRootLabel;
using test::label;
using test::pointer;

struct ReadName {
  bool failed;
  std::string text;
  std::size_t position;
};

ReadName read_name(const Bytes& message, std::size_t position = 0) {
  DnsReader reader{message, position};
  std::string text;
  reader.name(text);
  return {reader.failed(), text, reader.position()};
}

TEST_CASE("integers are read in network byte order") {
  const Bytes message{0x01, 0x02, 0x03, 0x80, 0x00, 0x00, 0x04};
  DnsReader reader{message};
  CHECK(reader.u8() == 0x01);
  CHECK(reader.u16() == 0x0203);
  CHECK(reader.u32() == 0x80000004);
  CHECK_FALSE(reader.failed());
}

TEST_CASE("reading past the end gives zeros and is remembered") {
  const Bytes message{0x01, 0x02, 0x03};
  DnsReader reader{message};
  CHECK(reader.u32() == 0);
  CHECK(reader.failed());
  CHECK(reader.u8() == 0);

  DnsReader skipper{message};
  skipper.skip(4);
  CHECK(skipper.failed());
  CHECK(skipper.position() == 0);

  DnsReader behind{message, 4};
  CHECK(behind.u8() == 0);
  CHECK(behind.failed());
}

TEST_CASE("a name is read as text without the last dot") {
  CHECK(read_name(test::WireName{"n1.example"}.octets()).text == "n1.example");
  CHECK(read_name(test::WireName{"n1.example"}.octets()).position == 12);
  CHECK(read_name(kRootLabel).text.empty());
  CHECK_FALSE(read_name(kRootLabel).failed);
}

TEST_CASE("names share a string and are found by their references") {
  const auto message = concat({test::WireName{"a.b"}.octets(), test::WireName{"c"}.octets()});
  DnsReader reader{message};
  std::string text;
  const auto first = reader.name(text);
  const auto second = reader.name(text);
  CHECK(text == "a.bc");
  CHECK(text.substr(first.offset, first.size) == "a.b");
  CHECK(text.substr(second.offset, second.size) == "c");
}

TEST_CASE("octets that are not printable are escaped so that no two names look the same") {
  CHECK(read_name(concat({label("a.b"), label("c"), kRootLabel})).text == R"(a\.b.c)");
  CHECK(read_name(concat({label("a\\b"), kRootLabel})).text == R"(a\\b)");
  CHECK(read_name(concat({label("a b"), kRootLabel})).text == R"(a\032b)");
  CHECK(read_name(concat({label("\0\x1F\x7F\xFF"sv), kRootLabel})).text == R"(\000\031\127\255)");
  CHECK(read_name(concat({label("!~@"), kRootLabel})).text == "!~@");
}

TEST_CASE("a pointer continues a name at an earlier place") {
  const auto message = concat({test::WireName{"example"}.octets(), label("n1"), pointer(0), Bytes{0xAA}});
  const auto name = read_name(message, 9);
  CHECK(name.text == "n1.example");
  CHECK(name.position == message.size() - 1);
}

TEST_CASE("pointers to pointers are followed backwards") {
  const auto message =
      concat({test::WireName{"c"}.octets(), label("b"), pointer(0), label("a"), pointer(3), pointer(7)});
  CHECK(read_name(message, 11).text == "a.b.c");
  CHECK(read_name(message, 11).position == 13);
}

TEST_CASE("a name has no more pointers than it can have labels") {
  // "a" at 0, then pointers of two octets, each to the one before it.
  auto message = concat({label("a"), kRootLabel});
  const auto first = message.size();
  message = concat({message, pointer(0)});
  for (std::size_t i = 1; i < 200; ++i) {
    message = concat({message, pointer(static_cast<std::uint16_t>(first + 2 * (i - 1)))});
  }
  CHECK_FALSE(read_name(message, first + 2 * 126).failed);
  CHECK(read_name(message, first + 2 * 127).failed);
}

TEST_CASE("a pointer that does not lead backwards is an error") {
  CHECK(read_name(pointer(0)).failed);                                                   // to itself
  CHECK(read_name(concat({label("a"), pointer(0)})).failed);                             // to its own name
  CHECK(read_name(concat({pointer(2), kRootLabel})).failed);                             // forwards
  CHECK(read_name(concat({pointer(2), pointer(0)}), 2).failed);                          // two to each other
  CHECK(read_name(concat({pointer(2), pointer(0), pointer(0)}), 4).failed);              // into such a pair
  CHECK(read_name(concat({label("a"), pointer(4), label("b"), pointer(0)}), 4).failed);  // round in a circle
  CHECK(read_name(concat({kRootLabel, pointer(0x3FFF)}), 1).failed);                     // outside
}

TEST_CASE("a failed name leaves no text behind") {
  const auto message = concat({label("a"), label("b"), pointer(0x100)});
  DnsReader reader{message};
  std::string text = "before";
  const auto name = reader.name(text);
  CHECK(reader.failed());
  CHECK(text == "before");
  CHECK(name.size == 0);
}

TEST_CASE("a name that ends outside of the message is an error") {
  const auto whole = concat({label("abc"), label("de"), kRootLabel});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK(read_name(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))).failed);
  }
  CHECK(read_name(Bytes{0xC0}).failed);
  CHECK(read_name(Bytes{}).failed);
}

TEST_CASE("the label types that are not in use are errors") {
  CHECK(read_name(Bytes{0x40, 0x00}).failed);
  CHECK(read_name(Bytes{0x80, 0x00}).failed);
  CHECK(read_name(concat({label("a"), Bytes{0x41, 'x', 0x00}})).failed);
}

TEST_CASE("a name has at most 255 octets however it is put together") {
  const auto label63 = label(std::string(63, 'a'));
  const auto fits = concat({label63, label63, label63, label(std::string(61, 'a')), kRootLabel});
  REQUIRE(fits.size() == kMaxDnsNameWire);
  CHECK(read_name(fits).text.size() == kMaxDnsNameText);
  CHECK(read_name(concat({label63, label63, label63, label(std::string(62, 'a')), kRootLabel})).failed);

  // The pointer adds no octet of its own.
  CHECK_FALSE(
      read_name(concat({label("a"), kRootLabel, label63, label63, label63, label(std::string(59, 'a')), pointer(0)}), 3)
          .failed);
  CHECK(
      read_name(concat({label("a"), kRootLabel, label63, label63, label63, label(std::string(60, 'a')), pointer(0)}), 3)
          .failed);
}

TEST_CASE("a name is skipped without following its pointer") {
  const auto message = concat({label("abc"), pointer(0x3FFF), Bytes{0x7F}});
  DnsReader reader{message};
  reader.skip_name();
  CHECK_FALSE(reader.failed());
  CHECK(reader.u8() == 0x7F);

  DnsReader root{kRootLabel};
  root.skip_name();
  CHECK_FALSE(root.failed());
  CHECK(root.position() == 1);
}

TEST_CASE("skipping a name that is cut or of an unknown type is an error") {
  for (const auto& message :
       {Bytes{}, Bytes{3, 'a', 'b'}, Bytes{1, 'a'}, Bytes{0xC0}, Bytes{0x40, 0}, Bytes{0x80, 0}}) {
    DnsReader reader{message};
    reader.skip_name();
    CHECK(reader.failed());
  }
}

}  // namespace
}  // namespace caravan
