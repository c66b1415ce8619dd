#pragma once

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace caravan::test {

// A file that exists as long as this object.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view text) : path_{std::filesystem::temp_directory_path() / unique_name()} {
    rewrite(text);
  }
  ~TemporaryFile() { remove(); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }

  // Sets a time of modification a second after the last one, because the clock of file systems is too coarse for a
  // test.
  void rewrite(std::string_view text) {
    std::ofstream{path_, std::ios::binary} << text;
    std::filesystem::last_write_time(path_, std::filesystem::file_time_type{std::chrono::seconds{++second_}});
  }
  void remove() const { std::filesystem::remove(path_); }

 private:
  static std::string unique_name() {
    static std::atomic<int> last{0};
    return "caravan_test_" + std::to_string(::getpid()) + '_' + std::to_string(++last);
  }

  std::filesystem::path path_;
  int second_ = 0;
};

}  // namespace caravan::test
