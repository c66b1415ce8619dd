#include "core/system/file_watch.hpp"

#include "catch.hpp"
#include "support/temporary_file.hpp"

namespace caravan {
namespace {

using std::chrono::milliseconds;

using test::TemporaryFile;

// An arbitrary point in time: the watch has no clock.
FileWatch::TimePoint at(int ms) { return FileWatch::TimePoint{} + milliseconds{ms}; }

TEST_CASE("a file counts as changed at first and then when it is rewritten") {
  TemporaryFile file{"one"};
  FileWatch watch{file.path()};
  CHECK(watch.path() == file.path());
  CHECK(watch.has_changed(at(0)));
  CHECK_FALSE(watch.has_changed(at(0)));
  CHECK_FALSE(watch.has_changed(at(10'000)));
  file.rewrite("two");
  CHECK(watch.has_changed(at(20'000)));
  CHECK_FALSE(watch.has_changed(at(30'000)));
}

TEST_CASE("a file is checked once a second and no change is missed") {
  TemporaryFile file{"one"};
  FileWatch watch{file.path()};
  watch.has_changed(at(0));
  file.rewrite("two");
  CHECK_FALSE(watch.has_changed(at(1)));
  CHECK_FALSE(watch.has_changed(at(999)));
  CHECK(watch.has_changed(at(1000)));
  // A second since the last check, not since the first one.
  file.rewrite("three");
  CHECK_FALSE(watch.has_changed(at(1999)));
  CHECK(watch.has_changed(at(2000)));
}

TEST_CASE("a file that becomes older has changed") {
  // Like a backup that is restored.
  TemporaryFile file{"one"};
  FileWatch watch{file.path()};
  watch.has_changed(at(0));
  std::filesystem::last_write_time(file.path(), std::filesystem::last_write_time(file.path()) - std::chrono::hours{1});
  CHECK(watch.has_changed(at(1000)));
}

TEST_CASE("a file that is removed or created has changed") {
  TemporaryFile file{"one"};
  FileWatch watch{file.path()};
  watch.has_changed(at(0));
  file.remove();
  CHECK(watch.has_changed(at(1000)));
  CHECK_FALSE(watch.has_changed(at(2000)));
  file.rewrite("two");
  CHECK(watch.has_changed(at(3000)));
}

TEST_CASE("a link to another file of the same age and size has changed") {
  // Container images and package managers switch versions this way.
  TemporaryFile first{"one"};
  TemporaryFile second{"two"};
  REQUIRE(std::filesystem::last_write_time(first.path()) == std::filesystem::last_write_time(second.path()));
  TemporaryFile link{""};
  link.remove();
  std::filesystem::create_symlink(first.path(), link.path());
  FileWatch watch{link.path()};
  watch.has_changed(at(0));
  CHECK_FALSE(watch.has_changed(at(1000)));
  std::filesystem::remove(link.path());
  std::filesystem::create_symlink(second.path(), link.path());
  CHECK(watch.has_changed(at(2000)));
  CHECK_FALSE(watch.has_changed(at(3000)));
}

TEST_CASE("a file that never exists counts as changed once") {
  FileWatch watch{"/nonexistent/file"};
  CHECK(watch.has_changed(at(0)));
  CHECK_FALSE(watch.has_changed(at(5000)));
}

}  // namespace
}  // namespace caravan
