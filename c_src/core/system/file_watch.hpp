#pragma once

#include <sys/stat.h>

#include <chrono>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <utility>

namespace caravan {

// Detects that a file was rewritten or replaced, as DHCP clients, the kubelet and administrators do while the process
// runs.
class FileWatch {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  explicit FileWatch(std::filesystem::path path) : path_{std::move(path)} {}

  const std::filesystem::path& path() const noexcept { return path_; }

  // Returns true for the first call, and whenever the file has changed since the last call that returned true. Examines
  // the file at most once a second, since a stat(2) for each lookup would cost more than the lookup itself.
  bool has_changed(TimePoint now);

 private:
  // Distinguishes two files, or two states of one file. The time of modification alone does not: container images and
  // package managers give all files the same one, and switch a symbolic link from one file to the other.
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
