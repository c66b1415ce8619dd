#include "core/system/hosts_reader.hpp"

#include <sys/stat.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string_view>
#include <thread>

#include "catch.hpp"
#include "support/gate.hpp"
#include "support/reply_text.hpp"
#include "support/temporary_file.hpp"

namespace caravan {
namespace {

using std::chrono::milliseconds;

using test::Lines;
using test::TemporaryFile;

// An arbitrary point in time: the owner of the reader passes the time.
HostsReader::TimePoint at(int ms) { return HostsReader::TimePoint{} + milliseconds{ms}; }

// A reader and its owner, which waits for on_ready().
class Owner {
 public:
  explicit Owner(std::filesystem::path path) : reader{std::move(path), [this] { on_ready(); }} {}

  Lines find(std::string_view name, HostsReader::TimePoint now) {
    auto hosts = reader.get(now);
    if (!hosts) {
      await_news();
      hosts = reader.get(now);
    }
    REQUIRE(hosts);
    Lines lines;
    for (const auto& address : hosts->find(name)) {
      lines.push_back(test::to_text(address));
    }
    return lines;
  }

 private:
  void on_ready() {
    const std::lock_guard lock{mutex_};
    ++news_;
    has_news_.notify_one();
  }
  void await_news() {
    std::unique_lock lock{mutex_};
    if (!has_news_.wait_for(lock, test::kHangGuard, [this] { return news_ > 0; })) {
      throw std::runtime_error{"hang: nobody reads the file"};
    }
    --news_;
  }

  std::mutex mutex_;
  std::condition_variable has_news_;
  int news_ = 0;

 public:
  HostsReader reader;
};

TEST_CASE("a hosts file is read again when it was rewritten") {
  TemporaryFile file{"10.0.0.1 old both\n"};
  Owner owner{file.path()};
  CHECK(owner.find("old", at(0)) == Lines{"10.0.0.1"});
  file.rewrite("10.0.0.2 new both\n");
  CHECK(owner.find("both", at(999)) == Lines{"10.0.0.1"});
  CHECK(owner.find("both", at(1000)) == Lines{"10.0.0.2"});
  CHECK(owner.find("new", at(1000)) == Lines{"10.0.0.2"});
  CHECK(owner.find("old", at(1000)).empty());
}

TEST_CASE("a hosts file that is removed has no names and one that comes back has") {
  TemporaryFile file{"10.0.0.1 n1\n"};
  Owner owner{file.path()};
  CHECK(owner.find("n1", at(0)) == Lines{"10.0.0.1"});
  file.remove();
  CHECK(owner.find("n1", at(1000)).empty());
  file.rewrite("10.0.0.2 n1\n");
  CHECK(owner.find("n1", at(2000)) == Lines{"10.0.0.2"});
}

TEST_CASE("a hosts file that is not there has no names") {
  Owner owner{GENERATE("", "/nonexistent/hosts", "/")};
  CHECK(owner.find("localhost", at(0)).empty());
  CHECK(owner.find("localhost", at(5000)).empty());
}

TEST_CASE("a named pipe in place of a hosts file does not block") {
  TemporaryFile file{""};
  file.remove();
  REQUIRE(::mkfifo(file.path().c_str(), 0600) == 0);
  Owner owner{file.path()};
  CHECK(owner.find("localhost", at(0)).empty());
}

TEST_CASE("the wait for the contents lasts a second and that for a check a tenth") {
  TemporaryFile file{"10.0.0.1 n1\n"};
  Owner owner{file.path()};
  CHECK(owner.find("n1", at(500)) == Lines{"10.0.0.1"});
  CHECK(owner.reader.deadline() == at(1500));
  CHECK(owner.find("n1", at(1500)) == Lines{"10.0.0.1"});
  CHECK(owner.reader.deadline() == at(1600));
}

TEST_CASE("resolvers share the reader of a file and an unused one is destroyed") {
  TemporaryFile file{"10.0.0.1 n1\n"};
  HostsReaders readers{[] {}};
  auto first = readers.of(file.path());
  auto second = readers.of(file.path());
  CHECK(first == second);
  CHECK(readers.of("/nonexistent/hosts") != first);
  const std::weak_ptr<HostsReader> shared = first;
  first->get(at(0));
  first.reset();
  readers.tidy();
  CHECK_FALSE(shared.expired());
  second.reset();
  while (!shared.expired()) {
    std::this_thread::yield();
    readers.tidy();
  }
  CHECK(readers.of(file.path()));
}

TEST_CASE("a reader that is stopping is not shared") {
  TemporaryFile file{"10.0.0.1 n1\n"};
  HostsReaders readers{[] {}};
  auto first = readers.of(file.path());
  first->stop();
  CHECK(readers.of(file.path()) != first);
}

}  // namespace
}  // namespace caravan
