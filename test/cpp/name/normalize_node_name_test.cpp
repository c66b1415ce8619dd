#include <algorithm>
#include <string>

#include "catch.hpp"
#include "core/name/node_name.hpp"
#include "core/wire/dns_name.hpp"
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

TEST_CASE("a valid node name is unchanged") {
  for (const auto name : {"app-4370@n1.example.com"sv, "app@10.0.0.7"sv, "app@fd00::1"sv, "my_App-2-65535@host"sv,
                          "app-31337@7f000001.addr.dc1.consul"sv, "app@app-0.svc.ns.svc.cluster.local"sv}) {
    CAPTURE(name);
    CHECK(normalize_node_name(name) == name);
  }
}

TEST_CASE("node names compare octet by octet so the host loses what DNS does not distinguish") {
  CHECK(normalize_node_name("App-4370@N1.Example.COM.") == "App-4370@n1.example.com");
  CHECK(normalize_node_name("App@FD00::1") == "App@fd00::1");
}

TEST_CASE("invalid node names are refused") {
  for (const auto name : {""sv,
                          "app"sv,
                          "@n1"sv,
                          "app@"sv,
                          "app@."sv,
                          "app@n1.."sv,
                          "a b@n1"sv,
                          "a.b@n1"sv,
                          "caf\xE9@n1"sv,
                          "app\0@n1"sv,
                          "a/b@n1"sv,
                          "a'b@n1"sv,
                          "a\nb@n1"sv,
                          "app@a@b"sv,
                          "app@a b"sv,
                          "app@a..b"sv,
                          "app@.a"sv,
                          "app@a\0"sv,
                          "app@a\\.b"sv,
                          "app@a\\000"sv,
                          "app@*"sv,
                          "app@fd00::1."sv,
                          "app@[::1]"sv,
                          "app@fd00::1%eth0"sv,
                          "{basename}@n1"sv}) {
    CAPTURE(name);
    CHECK(normalize_node_name(name) == std::nullopt);
  }
}

TEST_CASE("basenames are letters and digits and dashes and underscores") {
  for (const auto basename : {"a"sv, "Z"sv, "0"sv, "_"sv, "-"sv, "my-app_2"sv}) {
    CAPTURE(basename);
    CHECK(is_valid_basename(basename));
  }
  for (const auto basename : {""sv, "a b"sv, "a@b"sv, "a.b"sv, "caf\xE9"sv, "app\0"sv}) {
    CAPTURE(basename);
    CHECK_FALSE(is_valid_basename(basename));
  }
  CHECK(is_valid_basename(std::string(255, 'a')));
  CHECK_FALSE(is_valid_basename(std::string(256, 'a')));
}

TEST_CASE("a node name is at most 255 characters long as an atom is") {
  const auto rest = "app-4370@"sv;
  const auto longest = std::string{rest} + host_of(255 - rest.size());
  CHECK(normalize_node_name(longest) == longest);
  CHECK(normalize_node_name(std::string{rest} + host_of(255 - rest.size() + 1)) == std::nullopt);
  CHECK(normalize_node_name(std::string(254, 'a') + "@n") == std::nullopt);
  // The trailing dot is not part of the name.
  CHECK(normalize_node_name(longest + '.') == longest);
}

TEST_CASE("normalized random texts are valid node names") {
  const auto seed = GENERATE(21U, 22U, 23U, 24U);
  test::RandomText random{seed};
  int passed = 0;
  for (int i = 0; i < 5000; ++i) {
    const auto text = random.text(6, "appAPP01_-") + '@' + random.text(300 >> random.below(8), "n1.eXample-_");
    const auto name = normalize_node_name(text);
    if (!name) {
      continue;
    }
    ++passed;
    const auto host = name->substr(name->find('@') + 1);
    const bool fit = name->size() <= 255 && std::count(name->begin(), name->end(), '@') == 1 && is_dns_name(host) &&
                     !host.ends_with('.') && normalize_node_name(*name) == name &&
                     std::none_of(host.begin(), host.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
    if (!fit) {
      CAPTURE(seed, i, test::in_hex(text), *name);
      FAIL("this is no node name");
    }
  }
  CHECK(passed > 100);
}

}  // namespace
}  // namespace caravan
