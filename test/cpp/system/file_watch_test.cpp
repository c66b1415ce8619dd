#include "core/system/file_watch.hpp"

#include "catch.hpp"
#include "support/temporary_file.hpp"

namespace caravan {
namespace {

using std::chrono::milliseconds;

using test::TemporaryFile;

// Any point in time: the watch has no clock.
FileWatch::TimePoint at(int ms) { return FileWatch::TimePoint{} + milliseconds{ms}; }

TEST_CASE("a file is new at first and then only when it was rewritten") {
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

TEST_CASE("a file is looked at once a second and no change is lost") {
  TemporaryFile file{"one"};
  FileWatch watch{file.path()};
  watch.has_changed(at(0));
  file.rewrite("two");
  CHECK_FALSE(watch.has_changed(at(1)));
  CHECK_FALSE(watch.has_changed(at(999)));
  CHECK(watch.has_changed(at(1000)));
  // A second from the last look, not from the first one.
  file.rewrite("three");
  CHECK_FALSE(watch.has_changed(at(1999)));
  CHECK(watch.has_changed(at(2000)));
}

TEST_CASE("a file that becomes older has changed") {
  // As when a backup is put back.
  TemporaryFile file{"one"};
  FileWatch watch{file.path()};
  watch.has_changed(at(0));
  std::filesystem::last_write_time(file.path(), std::filesystem::last_write_time(file.path()) - std::chrono::hours{1});
  CHECK(watch.has_changed(at(1000)));
}

TEST_CASE("a file that goes or comes has changed") {
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
  // As images and package managers switch from one version to the next.
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

TEST_CASE("a file that is never there is new once") {
  FileWatch watch{"/nonexistent/file"};
  CHECK(watch.has_changed(at(0)));
  CHECK_FALSE(watch.has_changed(at(5000)));
}

}  // namespace
}  // namespace caravan
