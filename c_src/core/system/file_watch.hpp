#pragma once

#include <chrono>
#include <filesystem>
#include <utility>

namespace caravan {

// Tells when a file was rewritten, as DHCP clients, kubelets and people do in the life of a process.
class FileWatch {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  explicit FileWatch(std::filesystem::path path) : path_{std::move(path)} {}

  const std::filesystem::path& path() const noexcept { return path_; }

  // True at the first call, and when the file has changed since the last one that said so. Looks once a second at most:
  // a stat(2) per lookup would cost more than it finds.
  bool has_changed(TimePoint now);

 private:
  std::filesystem::path path_;
  bool known_ = false;
  TimePoint checked_;
  std::filesystem::file_time_type modified_;
};

}  // namespace caravan
