#include "core/wire/dns_name.hpp"

#include <string>
#include <vector>

#include "catch.hpp"

namespace caravan {
namespace {

using namespace std::string_view_literals;

using Names = std::vector<std::string>;

// A name of exactly `size` characters in labels of at most 63.
std::string name_of(std::size_t size) {
  std::string name(size, 'a');
  for (std::size_t dot = kMaxDnsLabel; dot + 1 < size; dot += kMaxDnsLabel + 1) {
    name[dot] = '.';
  }
  return name;
}

TEST_CASE("a DNS name is made of labels of letters and digits and dashes and underscores") {
  for (const auto name : {"a"sv, "A.b-C.d_e"sv, "_app._tcp.example.com"sv, "0.1"sv, "-"sv, "a."sv, "example.com."sv}) {
    CAPTURE(name);
    CHECK(is_dns_name(name));
  }
}

TEST_CASE("a DNS name has no empty label and no other character") {
  for (const auto name : {""sv, "."sv, ".."sv, ".a"sv, "a..b"sv, "a.."sv, "a b"sv, "a\0"sv, "caf\xC3\xA9"sv, "a\\.b"sv,
                          "a@b"sv, "a:53"sv, "a/b"sv, "*.a"sv}) {
    CAPTURE(name);
    CHECK_FALSE(is_dns_name(name));
  }
}

TEST_CASE("a label is at most 63 octets long") {
  CHECK(is_dns_name(std::string(63, 'a')));
  CHECK(is_dns_name("b." + std::string(63, 'a') + ".c"));
  CHECK_FALSE(is_dns_name(std::string(64, 'a')));
  CHECK_FALSE(is_dns_name("b." + std::string(64, 'a') + ".c"));
}

TEST_CASE("a name is at most 255 octets long on the wire which is 253 characters") {
  CHECK(is_dns_name(name_of(253)));
  CHECK(is_dns_name(name_of(253) + '.'));
  CHECK_FALSE(is_dns_name(name_of(254)));
  CHECK_FALSE(is_dns_name(name_of(254) + '.'));
}

TEST_CASE("names are compared without regard to the case of ASCII letters only") {
  CHECK(equal_names("N1.Example", "n1.eXAMPLE"));
  CHECK_FALSE(equal_names("n1.example", "n1.example."));
  CHECK_FALSE(equal_names("n1", "n2"));
  // '[' follows 'Z' and '{' follows 'z', but they are no letters.
  CHECK_FALSE(equal_names("a[", "a{"));
  CHECK_FALSE(equal_names("\xC9", "\xE9"));

  CHECK(less_names("A", "b"));
  CHECK_FALSE(less_names("B", "a"));
  CHECK_FALSE(less_names("a", "A"));
  CHECK_FALSE(less_names("A", "a"));
  CHECK(less_names("n1", "n10"));
}

TEST_CASE("without a search list a name is asked as it is") {
  CHECK(search_candidates("app", {}) == Names{"app"});
  CHECK(search_candidates("app.example", {}) == Names{"app.example"});
}

TEST_CASE("a name with enough dots is asked as it is first and any other one last") {
  const SearchList search{{"one.example", "two.example"}, 1};
  CHECK(search_candidates("app", search) == Names{"app.one.example", "app.two.example", "app"});
  CHECK(search_candidates("app.x", search) == Names{"app.x", "app.x.one.example", "app.x.two.example"});

  const SearchList eager{{"one.example"}, 0};
  CHECK(search_candidates("app", eager) == Names{"app", "app.one.example"});
}

TEST_CASE("a trailing dot keeps the search list out") {
  const SearchList search{{"one.example"}, 5};
  CHECK(search_candidates("app.", search) == Names{"app"});
  CHECK(search_candidates("app.example.", search) == Names{"app.example"});
}

TEST_CASE("in a pod a service is found by its short name and by its full one") {
  const SearchList pod{{"default.svc.cluster.local", "svc.cluster.local", "cluster.local"}, 5};
  CHECK(search_candidates("_epmd._tcp.app", pod) == Names{"_epmd._tcp.app.default.svc.cluster.local",
                                                          "_epmd._tcp.app.svc.cluster.local",
                                                          "_epmd._tcp.app.cluster.local", "_epmd._tcp.app"});
  CHECK(search_candidates("app.default.svc.cluster.local", pod).back() == "app.default.svc.cluster.local");
  CHECK(search_candidates("_a._tcp.app.default.svc.cluster.local", pod).front() ==
        "_a._tcp.app.default.svc.cluster.local");
}

// In resolv.conf(5), "." is the root, for which glibc looks up the name as it is.
TEST_CASE("the root in a search list is a candidate of its own") {
  CHECK(search_candidates("app", {{"a.example", "", "b.example"}, 1}) ==
        std::vector<std::string>{"app.a.example", "app", "app.b.example"});
  CHECK(search_candidates("app.x", {{"a.example", ""}, 1}) == std::vector<std::string>{"app.x", "app.x.a.example"});
}

TEST_CASE("a domain that gives no valid name is skipped") {
  const SearchList search{{".", "a..b", ".a", name_of(253), "one.example"}, 1};
  CHECK(search_candidates("app", search) == Names{"app.one.example", "app"});
}

}  // namespace
}  // namespace caravan
