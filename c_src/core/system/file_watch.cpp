#include "core/system/file_watch.hpp"

#include <system_error>

namespace caravan {
namespace {

constexpr std::chrono::seconds kCheckInterval{1};

}  // namespace

bool FileWatch::has_changed(TimePoint now) {
  if (known_ && now - checked_ < kCheckInterval) {
    return false;
  }
  checked_ = now;
  std::error_code ignored;
  const auto modified = std::filesystem::last_write_time(path_, ignored);
  if (known_ && modified == modified_) {
    return false;
  }
  known_ = true;
  modified_ = modified;
  return true;
}

}  // namespace caravan
