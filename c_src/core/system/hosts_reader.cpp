#include "core/system/hosts_reader.hpp"

#include <pthread.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>

namespace caravan {
namespace {

constexpr std::chrono::seconds kCheckInterval{1};

void name_this_thread() noexcept {
#ifdef __linux__
  ::pthread_setname_np(::pthread_self(), "caravan_hosts");
#endif
}

// Returns an empty string if there is no such file.
std::string read_text(const std::filesystem::path& path) {
  std::error_code ignored;
  // Opening a named pipe would block until a writer opens it.
  if (!std::filesystem::is_regular_file(path, ignored)) {
    return {};
  }
  const auto size = std::filesystem::file_size(path, ignored);
  std::string text(ignored ? 0 : std::min<std::uintmax_t>(size, HostsFile::kMaxOctets), '\0');
  std::ifstream file{path, std::ios::binary};
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

}  // namespace

HostsReader::HostsReader(std::filesystem::path path, std::function<void()> on_ready)
    : path_{std::move(path)}, on_ready_{std::move(on_ready)} {}

HostsReader::~HostsReader() {
  stop();
  if (thread_.joinable()) {
    thread_.join();
  }
}

std::shared_ptr<const HostsFile> HostsReader::get(TimePoint now) {
  const MutexLock lock{mutex_};
  if (!path_.empty() && !pending_since_ && (!last_request_ || now - *last_request_ >= kCheckInterval)) {
    last_request_ = now;
    deadline_ = now + (hosts_ ? kMaxWaitForCheck : kMaxWaitForContents);
    if (start_thread()) {
      pending_since_ = now;
      requested_.notify_one();
    }
  }
  if (pending_since_ && now < deadline_) {
    return nullptr;
  }
  return hosts_ ? hosts_ : std::make_shared<const HostsFile>();
}

// Starts the thread unless it runs. Returns false if the system refuses; a later lookup tries again.
bool HostsReader::start_thread() noexcept try {
  if (!thread_.joinable()) {
    thread_ = std::thread{[this] { run(); }};
  }
  return true;
} catch (const std::system_error&) {
  return false;
}

void HostsReader::stop() noexcept {
  const MutexLock lock{mutex_};
  stop_ = true;
  requested_.notify_one();
}

bool HostsReader::is_stopped() const noexcept {
  const MutexLock lock{mutex_};
  return stop_;
}

bool HostsReader::has_ended() const noexcept {
  const MutexLock lock{mutex_};
  return has_ended_ || !thread_.joinable();
}

std::optional<HostsReader::TimePoint> HostsReader::await_request() noexcept {
  const MutexLock lock{mutex_};
  while (!stop_ && !pending_since_) {
    requested_.wait(mutex_);
  }
  has_ended_ = stop_;
  return stop_ ? std::nullopt : pending_since_;
}

void HostsReader::run() noexcept {
  name_this_thread();
  FileWatch watch{path_};
  while (const auto when = await_request()) {
    auto fresh = watch.has_changed(*when) ? std::make_shared<const HostsFile>(read_text(path_)) : nullptr;
    const MutexLock lock{mutex_};
    if (fresh) {
      hosts_ = std::move(fresh);
    }
    pending_since_.reset();
    on_ready_();
  }
}

std::shared_ptr<HostsReader> HostsReaders::of(const std::filesystem::path& path) {
  const auto found = std::find_if(readers_.begin(), readers_.end(),
                                  [&](const auto& reader) { return reader->path() == path && !reader->is_stopped(); });
  return found != readers_.end() ? *found : readers_.emplace_back(std::make_shared<HostsReader>(path, on_ready_));
}

void HostsReaders::tidy() noexcept {
  std::erase_if(readers_, [](const auto& reader) {
    if (reader.use_count() > 1) {
      return false;
    }
    reader->stop();
    return reader->has_ended();
  });
}

}  // namespace caravan
