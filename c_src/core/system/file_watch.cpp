#include "core/system/file_watch.hpp"

namespace caravan {
namespace {

constexpr std::chrono::seconds kCheckInterval{1};

std::int64_t nanoseconds(const std::timespec& time) noexcept {
  constexpr std::int64_t per_second = 1'000'000'000;
  return std::int64_t{time.tv_sec} * per_second + time.tv_nsec;
}

#if defined(__APPLE__)
const std::timespec& modified(const struct ::stat& status) noexcept { return status.st_mtimespec; }
const std::timespec& changed(const struct ::stat& status) noexcept { return status.st_ctimespec; }
#else
const std::timespec& modified(const struct ::stat& status) noexcept { return status.st_mtim; }
const std::timespec& changed(const struct ::stat& status) noexcept { return status.st_ctim; }
#endif

}  // namespace

FileWatch::Identity FileWatch::identify(const std::filesystem::path& path) noexcept {
  struct ::stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    return {};
  }
  return {
      true, status.st_dev, status.st_ino, status.st_size, nanoseconds(modified(status)), nanoseconds(changed(status))};
}

bool FileWatch::has_changed(TimePoint now) {
  if (known_ && now - checked_ < kCheckInterval) {
    return false;
  }
  checked_ = now;
  const auto identity = identify(path_);
  if (known_ && identity == identity_) {
    return false;
  }
  known_ = true;
  identity_ = identity;
  return true;
}

}  // namespace caravan
