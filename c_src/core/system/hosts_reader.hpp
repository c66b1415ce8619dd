#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "core/system/file_watch.hpp"
#include "core/system/hosts_file.hpp"
#include "core/system/mutex.hpp"

namespace caravan {

// Reads a hosts file, and reads it again when it has changed. It does so on its own thread, because the file may be
// large and its disk may not respond. A lookup waits for the thread, but only for a limited time. All member functions
// must be called on the thread of the owner.
class HostsReader {
 public:
  using TimePoint = FileWatch::TimePoint;

  // How long a lookup waits at most for the first contents of the file, and for a check of whether they have changed.
  static constexpr std::chrono::milliseconds kMaxWaitForContents{1000};
  static constexpr std::chrono::milliseconds kMaxWaitForCheck{100};

  // The reader's thread calls `on_ready` when get() has a result after it returned null. `on_ready` must neither throw
  // nor block. An empty `path` stands for no file.
  HostsReader(std::filesystem::path path, std::function<void()> on_ready);
  // Waits until the thread has ended.
  ~HostsReader();
  HostsReader(const HostsReader&) = delete;
  HostsReader& operator=(const HostsReader&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }

  // Returns the contents of the file. Requests a check of the file if the last one was a second ago or more, and
  // returns null until the thread has made it, at the latest until deadline(). From then on returns the previous
  // contents. The contents of a file that does not exist, or that has not been read yet, are empty.
  std::shared_ptr<const HostsFile> get(TimePoint now);
  TimePoint deadline() const noexcept { return deadline_; }

  // Asks the thread to end. The destructor does not block once has_ended() returns true.
  void stop() noexcept;
  bool is_stopped() const noexcept;
  bool has_ended() const noexcept;

 private:
  bool start_thread() noexcept;
  void run() noexcept;
  // Waits for the next request. Returns its time, or nullopt if the thread must end.
  std::optional<TimePoint> await_request() noexcept;

  const std::filesystem::path path_;
  const std::function<void()> on_ready_;
  std::optional<TimePoint> last_request_;
  TimePoint deadline_;

  mutable Mutex mutex_;
  Condition requested_;
  // The time of the request that the thread has not completed yet.
  std::optional<TimePoint> pending_since_ CARAVAN_GUARDED_BY(mutex_);
  bool stop_ CARAVAN_GUARDED_BY(mutex_) = false;
  bool has_ended_ CARAVAN_GUARDED_BY(mutex_) = false;
  // Null until the file has been read for the first time.
  std::shared_ptr<const HostsFile> hosts_ CARAVAN_GUARDED_BY(mutex_);

  std::thread thread_;
};

// The readers of a process, one for each hosts file, which all resolvers share. One thread owns it.
class HostsReaders {
 public:
  explicit HostsReaders(std::function<void()> on_ready) : on_ready_{std::move(on_ready)} {}

  std::shared_ptr<HostsReader> of(const std::filesystem::path& path);

  // Stops the readers that no resolver uses, and destroys those whose thread has ended. Call it from time to time: it
  // never waits for a thread, so a reader that is stopped now is destroyed by a later call.
  void tidy() noexcept;

 private:
  std::function<void()> on_ready_;
  std::vector<std::shared_ptr<HostsReader>> readers_;
};

}  // namespace caravan
