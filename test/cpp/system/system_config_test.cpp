#include "core/system/system_config.hpp"

#include <sys/stat.h>

#include <sstream>
#include <string>
#include <vector>

#include "catch.hpp"
#include "core/system/cares.hpp"
#include "support/temporary_file.hpp"

namespace caravan {
namespace {

using std::chrono::milliseconds;

using test::TemporaryFile;

using Domains = std::vector<std::string>;

FileWatch::TimePoint at(int ms) { return FileWatch::TimePoint{} + milliseconds{ms}; }

SystemConfig parse_all(const std::string& text, const char* local_domain = nullptr, const char* options = nullptr) {
  std::istringstream file{text};
  return parse_resolv_conf(file, local_domain, options);
}

SearchList parse(const std::string& text, const char* local_domain = nullptr, const char* options = nullptr) {
  return parse_all(text, local_domain, options).search;
}

TEST_CASE("the search list of a pod is read") {
  const auto search = parse(
      "nameserver 10.96.0.10\n"
      "search default.svc.cluster.local svc.cluster.local cluster.local\n"
      "options ndots:5 edns0\n");
  CHECK(search.domains == Domains{"default.svc.cluster.local", "svc.cluster.local", "cluster.local"});
  CHECK(search.ndots == 5);
}

// Each nameserver as text, with its scope.
std::vector<std::string> nameservers(const SystemConfig& config) {
  std::vector<std::string> texts;
  for (const auto& nameserver : config.nameservers) {
    texts.push_back(nameserver.to_string() + ' ' + nameserver.scope.data());
  }
  return texts;
}

TEST_CASE("nameservers keep their scopes and their order") {
  const CaresLibrary cares;
  const TemporaryFile file{"nameserver 10.0.0.1\nnameserver fe80::1%eth0\nnameserver nonsense\nnameserver fe80::2%3\n"};
  const auto config = read_system_config(file.path());
  REQUIRE(config);
  CHECK(nameservers(*config) == std::vector<std::string>{"10.0.0.1:53 ", "[fe80::1]:53 eth0", "[fe80::2]:53 3"});
}

TEST_CASE("only the first nameservers are kept") {
  const CaresLibrary cares;
  std::string text;
  for (std::size_t i = 1; i <= 2 * kMaxNameservers; ++i) {
    text += "nameserver 10.0.0." + std::to_string(i) + '\n';
  }
  const TemporaryFile file{text};
  const auto config = read_system_config(file.path());
  REQUIRE(config);
  CHECK(config->nameservers.size() == kMaxNameservers);
  CHECK(nameservers(*config).front() == "10.0.0.1:53 ");
}

TEST_CASE("without a search list names are looked up as they are") {
  for (const auto* text :
       {"", "nameserver 10.0.0.1", "# search a.example", "; search a.example", "search", "searching a"}) {
    CAPTURE(text);
    CHECK(parse(text).domains.empty());
    CHECK(parse(text).ndots == 1);
  }
}

TEST_CASE("the last search list counts") {
  CHECK(parse("domain a.example\nsearch b.example c.example\n").domains == Domains{"b.example", "c.example"});
  CHECK(parse("search b.example c.example\ndomain a.example\n").domains == Domains{"a.example"});
}

TEST_CASE("words of a line may be surrounded by blanks") {
  CHECK(parse("  search\ta.example \t b.example  \r\n").domains == Domains{"a.example", "b.example"});
}

// Candidates are compared with the question of the reply, which has no trailing dot.
TEST_CASE("domains have no trailing dot and invalid ones are ignored") {
  CHECK(parse("search a.example. .. b..example \xFF b.example").domains == Domains{"a.example", "b.example"});
}

TEST_CASE("the root may be one of the domains") {
  CHECK(parse("search a.example . b.example").domains == Domains{"a.example", "", "b.example"});
}

TEST_CASE("the number of dots has a limit and no other option matters") {
  CHECK(parse("options ndots:0").ndots == 0);
  CHECK(parse("options timeout:1 ndots:3\noptions rotate").ndots == 3);
  CHECK(parse("options ndots:15").ndots == 15);
  CHECK(parse("options ndots:16").ndots == 15);
  for (const auto* text : {"options ndots", "options ndots:", "options ndots:-1", "options ndots:x", "ndots:7"}) {
    CAPTURE(text);
    CHECK(parse(text).ndots == 1);
  }
}

TEST_CASE("the environment overrules the file") {
  const auto* text = "search a.example\noptions ndots:5\n";
  CHECK(parse(text, "b.example c.example").domains == Domains{"b.example", "c.example"});
  CHECK(parse(text, "b.example").ndots == 5);
  CHECK(parse(text, nullptr, "ndots:2").ndots == 2);
  CHECK(parse(text, nullptr, "ndots:2").domains == Domains{"a.example"});
}

TEST_CASE("nameservers take turns when an option says so") {
  CHECK_FALSE(parse_all("").rotate);
  for (const auto* text : {"options rotate", "options ndots:2 rotate\n", "options rotate\noptions ndots:2"}) {
    CAPTURE(text);
    CHECK(parse_all(text).rotate);
  }
  for (const auto* text : {"rotate", "options rotate:1", "options norotate", "# options rotate", "search rotate"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_all(text).rotate);
  }
  CHECK(parse_all("", nullptr, "rotate").rotate);
  CHECK(parse_all("options rotate", nullptr, "ndots:2").rotate);
}

TEST_CASE("there is always a nameserver and each has a port") {
  const CaresLibrary cares;
  const auto config = read_system_config("/etc/resolv.conf");
  REQUIRE(config);
  // Without a nameserver in resolv.conf, c-ares asks this machine.
  CHECK_FALSE(config->nameservers.empty());
  for (const auto& nameserver : config->nameservers) {
    CHECK(nameserver.port != 0);
  }
}

TEST_CASE("the configuration is read again when its file was rewritten") {
  const CaresLibrary cares;
  TemporaryFile file{"search old.example"};
  SystemConfigCache cache{file.path()};
  CHECK(cache.get(at(0))->search.domains == Domains{"old.example"});
  CHECK(cache.get(at(5000))->search.domains == Domains{"old.example"});
  file.rewrite("search new.example");
  CHECK(cache.get(at(10'000))->search.domains == Domains{"new.example"});
}

TEST_CASE("the file is looked at once a second") {
  const CaresLibrary cares;
  TemporaryFile file{"search old.example"};
  SystemConfigCache cache{file.path()};
  cache.get(at(0));
  file.rewrite("search new.example");
  CHECK(cache.get(at(999))->search.domains == Domains{"old.example"});
  CHECK(cache.get(at(1000))->search.domains == Domains{"new.example"});
}

TEST_CASE("a file that is missing or empty for a moment changes nothing") {
  const CaresLibrary cares;
  TemporaryFile file{"search old.example"};
  SystemConfigCache cache{file.path()};
  cache.get(at(0));
  file.rewrite("");
  CHECK(cache.get(at(1000))->search.domains == Domains{"old.example"});
  file.remove();
  CHECK(cache.get(at(2000))->search.domains == Domains{"old.example"});
  file.rewrite("search new.example");
  CHECK(cache.get(at(3000))->search.domains == Domains{"new.example"});
}

TEST_CASE("without a file there is no search list") {
  const CaresLibrary cares;
  SystemConfigCache cache{"/nonexistent/resolv.conf"};
  CHECK(cache.get(at(0))->search.domains.empty());
  CHECK(cache.get(at(5000))->search.domains.empty());
}

TEST_CASE("use-vc is read from the file and from the environment") {
  CHECK_FALSE(parse_all("nameserver 10.0.0.1\noptions rotate\n").use_vc);
  CHECK(parse_all("options ndots:2 use-vc\n").use_vc);
  CHECK(parse_all("options usevc\n").use_vc);
  CHECK(parse_all("", nullptr, "use-vc").use_vc);
}

// The pipe has no writer, so opening it would block.
TEST_CASE("a resolv.conf that is a pipe counts as empty") {
  const CaresLibrary cares;
  const TemporaryFile file{""};
  file.remove();
  REQUIRE(::mkfifo(file.path().c_str(), 0600) == 0);
  const auto config = read_system_config(file.path());
  REQUIRE(config);
  CHECK(config->search.domains.empty());
}

TEST_CASE("nameservers and search list are of the file that is given") {
  const CaresLibrary cares;
  const TemporaryFile file{"nameserver 10.9.8.7\nsearch a.example\n"};
  const auto config = read_system_config(file.path());
  REQUIRE(config);
  CHECK(config->nameservers == Nameservers{parse_nameserver("10.9.8.7").value()});
  CHECK(config->search.domains == Domains{"a.example"});
}

}  // namespace
}  // namespace caravan
