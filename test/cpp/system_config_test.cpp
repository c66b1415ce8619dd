#include "core/system_config.hpp"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "catch.hpp"
#include "core/cares.hpp"

// c-ares always reads /etc/resolv.conf; what resolv.conf(5) lets the environment overrule is set there instead.
namespace caravan {
namespace {

using std::chrono::milliseconds;

using Domains = std::vector<std::string>;

// An environment variable for the length of a scope.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_{name} { set(value); }
  ~Variable() { ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

  void set(const char* value) { ::setenv(name_, value, 1); }

 private:
  const char* name_;
};

class TemporaryFile {
 public:
  TemporaryFile() : path_{std::filesystem::temp_directory_path() / ("caravan_test_" + std::to_string(::getpid()))} {
    rewrite(0);
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }

  // As if at that second: the clock of files is too coarse for a test.
  void rewrite(int second) {
    std::ofstream{path_} << second;
    std::filesystem::last_write_time(path_, std::filesystem::file_time_type{std::chrono::seconds{second}});
  }

 private:
  std::filesystem::path path_;
};

SystemConfigCache::Clock::time_point at(int ms) { return SystemConfigCache::Clock::time_point{} + milliseconds{ms}; }

TEST_CASE("the search list of a pod is read") {
  const CaresLibrary cares;
  const Variable domains{"LOCALDOMAIN", "default.svc.cluster.local svc.cluster.local cluster.local"};
  const Variable options{"RES_OPTIONS", "ndots:5"};
  const auto config = read_system_config();
  REQUIRE(config);
  CHECK(config->search.domains == Domains{"default.svc.cluster.local", "svc.cluster.local", "cluster.local"});
  CHECK(config->search.ndots == 5);
}

TEST_CASE("there is always a nameserver and each has a port") {
  const CaresLibrary cares;
  const auto config = read_system_config();
  REQUIRE(config);
  // c-ares asks this machine when resolv.conf names nobody.
  CHECK_FALSE(config->nameservers.empty());
  for (const auto& nameserver : config->nameservers) {
    CHECK(nameserver.port != 0);
  }
}

TEST_CASE("the configuration is read again when its file was rewritten") {
  const CaresLibrary cares;
  TemporaryFile file;
  Variable domains{"LOCALDOMAIN", "old.example"};
  SystemConfigCache cache{file.path()};
  CHECK(cache.get(at(0)).search.domains == Domains{"old.example"});

  domains.set("new.example");
  CHECK(cache.get(at(5000)).search.domains == Domains{"old.example"});
  file.rewrite(1);
  CHECK(cache.get(at(10'000)).search.domains == Domains{"new.example"});
}

TEST_CASE("the file is looked at once a second") {
  const CaresLibrary cares;
  TemporaryFile file;
  Variable domains{"LOCALDOMAIN", "old.example"};
  SystemConfigCache cache{file.path()};
  cache.get(at(0));
  domains.set("new.example");
  file.rewrite(1);
  CHECK(cache.get(at(999)).search.domains == Domains{"old.example"});
  CHECK(cache.get(at(1000)).search.domains == Domains{"new.example"});
}

TEST_CASE("a file that comes and goes costs nothing but a look") {
  const CaresLibrary cares;
  const Variable domains{"LOCALDOMAIN", "one.example"};
  SystemConfigCache cache{"/nonexistent/resolv.conf"};
  CHECK(cache.get(at(0)).search.domains == Domains{"one.example"});
  CHECK(cache.get(at(5000)).search.domains == Domains{"one.example"});
}

}  // namespace
}  // namespace caravan
