#include <algorithm>
#include <string>

#include "catch.hpp"
#include "core/dns_name.hpp"
#include "core/node_name.hpp"
#include "support/random_text.hpp"

namespace caravan {
namespace {

using namespace std::string_view_literals;

// A host of exactly `size` characters, in labels that DNS allows.
std::string host_of(std::size_t size) {
  std::string host(size, 'h');
  for (std::size_t dot = kMaxDnsLabel; dot + 1 < size; dot += kMaxDnsLabel + 1) {
    host[dot] = '.';
  }
  return host;
}

TEST_CASE("a node name is made of a basename and the port and target of an SRV record") {
  CHECK(make_node_name("app", 4370, "n1.example.com") == "app-4370@n1.example.com");
  CHECK(make_node_name("app", 1, "10.0.0.7") == "app-1@10.0.0.7");
  CHECK(make_node_name("my_App-2", 65535, "host") == "my_App-2-65535@host");
}

TEST_CASE("a target of Consul that spells an address is taken as it is") {
  CHECK(make_node_name("app", 31337, "7f000001.addr.dc1.consul.") == "app-31337@7f000001.addr.dc1.consul");
}

TEST_CASE("node names compare octet by octet so the target loses what DNS does not distinguish") {
  CHECK(make_node_name("App", 4370, "N1.Example.COM.") == "App-4370@n1.example.com");
  CHECK(make_node_name("app", 4370, "n1.example.com..") == std::nullopt);
  CHECK(make_node_name("app", 4370, ".") == std::nullopt);
}

TEST_CASE("parts that cannot be in a node name make none") {
  CHECK(make_node_name("app", 0, "n1") == std::nullopt);
  for (const auto basename : {""sv, "a b"sv, "a@b"sv, "a.b"sv, "caf\xE9"sv, "app\0"sv, "a/b"sv, "a'b"sv, "a\nb"sv}) {
    CAPTURE(basename);
    CHECK_FALSE(is_valid_basename(basename));
    CHECK(make_node_name(basename, 4370, "n1") == std::nullopt);
  }
  for (const auto target : {""sv, "a@b"sv, "a b"sv, "a..b"sv, ".a"sv, "a\0"sv, "a\\.b"sv, "a\\000"sv, "::1"sv, "*"sv}) {
    CAPTURE(target);
    CHECK(make_node_name("app", 4370, target) == std::nullopt);
  }
}

TEST_CASE("basenames are letters and digits and dashes and underscores") {
  for (const auto basename : {"a"sv, "Z"sv, "0"sv, "_"sv, "-"sv, "my-app_2"sv}) {
    CAPTURE(basename);
    CHECK(is_valid_basename(basename));
  }
  CHECK(is_valid_basename(std::string(255, 'a')));
  CHECK_FALSE(is_valid_basename(std::string(256, 'a')));
}

TEST_CASE("a node name is at most 255 characters long as an atom is") {
  const auto rest = "app-4370@"sv.size();
  const auto longest = make_node_name("app", 4370, host_of(255 - rest));
  REQUIRE(longest);
  CHECK(longest->size() == 255);
  CHECK(make_node_name("app", 4370, host_of(255 - rest + 1)) == std::nullopt);
  CHECK(make_node_name(std::string(255, 'a'), 4370, "n1") == std::nullopt);
  // The trailing dot is not part of the name.
  CHECK(make_node_name("app", 4370, host_of(255 - rest) + '.') == longest);
}

TEST_CASE("node names made from random parts are fit for the rest of the system") {
  const auto seed = GENERATE(21U, 22U, 23U, 24U);
  test::RandomText random{seed};
  constexpr PortRule kAnyPort{4370, 1, 65535};
  int made = 0;
  for (int i = 0; i < 5000; ++i) {
    const auto basename = random.text(6, "appAPP01_-");
    const auto target = random.text(300 >> random.below(8), "n1.eXample-_");
    const auto port = static_cast<std::uint16_t>(random.below(65536));
    const auto name = make_node_name(basename, port, target);
    if (!name) {
      continue;
    }
    ++made;
    const auto host = name->substr(name->find('@') + 1);
    const bool fit = name->size() <= 255 && std::count(name->begin(), name->end(), '@') == 1 && is_dns_name(host) &&
                     !host.ends_with('.') && choose_port(*name, kAnyPort).port == port &&
                     std::none_of(host.begin(), host.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
    if (!fit) {
      CAPTURE(seed, i, port, test::in_hex(basename), test::in_hex(target), *name);
      FAIL("this is no node name");
    }
  }
  CHECK(made > 100);
}

}  // namespace
}  // namespace caravan
