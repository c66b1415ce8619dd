#pragma once

#include <sys/stat.h>

#include <chrono>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <utility>

namespace caravan {

// Tells when a file was rewritten or replaced, as DHCP clients, kubelets and people do in the life of a process.
class FileWatch {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  explicit FileWatch(std::filesystem::path path) : path_{std::move(path)} {}

  const std::filesystem::path& path() const noexcept { return path_; }

  // True at the first call, and when the file has changed since the last one that said so. Looks once a second at most:
  // a stat(2) per lookup would cost more than it finds.
  bool has_changed(TimePoint now);

 private:
  // What differs between two files or two states of one: images and package managers give all files one time of
  // modification, and switch a link from one to the other.
  struct Identity {
    bool exists = false;
    ::dev_t device = 0;
    ::ino_t inode = 0;
    ::off_t size = 0;
    std::int64_t modified_ns = 0;
    std::int64_t changed_ns = 0;

    bool operator==(const Identity&) const = default;
  };

  static Identity identify(const std::filesystem::path& path) noexcept;

  std::filesystem::path path_;
  bool known_ = false;
  TimePoint checked_;
  Identity identity_;
};

}  // namespace caravan
