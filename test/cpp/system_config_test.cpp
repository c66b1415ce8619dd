#include "core/system_config.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "catch.hpp"
#include "core/cares.hpp"

namespace caravan {
namespace {

using std::chrono::milliseconds;

using Domains = std::vector<std::string>;

class TemporaryFile {
 public:
  explicit TemporaryFile(const char* text)
      : path_{std::filesystem::temp_directory_path() / ("caravan_test_" + std::to_string(::getpid()))} {
    rewrite(text);
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }

  // A second later than the last time: the clock of files is too coarse for a test.
  void rewrite(const char* text) {
    std::ofstream{path_} << text;
    std::filesystem::last_write_time(path_, std::filesystem::file_time_type{std::chrono::seconds{++second_}});
  }

 private:
  std::filesystem::path path_;
  int second_ = 0;
};

SystemConfigCache::Clock::time_point at(int ms) { return SystemConfigCache::Clock::time_point{} + milliseconds{ms}; }

SearchList parse(const std::string& text, const char* local_domain = nullptr, const char* options = nullptr) {
  std::istringstream file{text};
  return parse_search_list(file, local_domain, options);
}

TEST_CASE("the search list of a pod is read") {
  const auto search = parse(
      "nameserver 10.96.0.10\n"
      "search default.svc.cluster.local svc.cluster.local cluster.local\n"
      "options ndots:5 edns0\n");
  CHECK(search.domains == Domains{"default.svc.cluster.local", "svc.cluster.local", "cluster.local"});
  CHECK(search.ndots == 5);
}

TEST_CASE("without a search list names are taken as they are") {
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

TEST_CASE("blanks may stand around the words of a line") {
  CHECK(parse("  search\ta.example \t b.example  \r\n").domains == Domains{"a.example", "b.example"});
}

// Candidates are compared with the question of the reply, which has no last dot.
TEST_CASE("domains have no trailing dot and those that are none are passed over") {
  CHECK(parse("search a.example. . .. b..example \xFF b.example").domains == Domains{"a.example", "b.example"});
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

TEST_CASE("there is always a nameserver and each has a port") {
  const CaresLibrary cares;
  const auto config = read_system_config("/etc/resolv.conf");
  REQUIRE(config);
  // c-ares asks this machine when resolv.conf names nobody.
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

TEST_CASE("without a file there is no search list") {
  const CaresLibrary cares;
  SystemConfigCache cache{"/nonexistent/resolv.conf"};
  CHECK(cache.get(at(0))->search.domains.empty());
  CHECK(cache.get(at(5000))->search.domains.empty());
}

}  // namespace
}  // namespace caravan
