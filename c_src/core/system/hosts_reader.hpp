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

// Looks at a hosts file, and reads it again when it was rewritten, on a thread of its own: the file may be large, and
// the disk that it lies on may not answer. Who wants to know what the file says waits for that, but for a part of a
// second only. All members may be called from the owner's thread only.
class HostsReader {
 public:
  using TimePoint = FileWatch::TimePoint;

  // For how long anybody waits: for the first contents, and for what is new in them.
  static constexpr std::chrono::milliseconds kPatience{1000};
  static constexpr std::chrono::milliseconds kPatienceForNews{100};

  // `on_news`, which must not throw or wait, is called on the reader's thread when get() no longer gives null. An empty
  // path is that of no file.
  HostsReader(std::filesystem::path path, std::function<void()> on_news);
  // Waits for the end of the thread.
  ~HostsReader();
  HostsReader(const HostsReader&) = delete;
  HostsReader& operator=(const HostsReader&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }

  // What the file says; null while the thread finds that out, until late_at() at the latest. After that what it said
  // before. A file that is not there has no names, nor has one that has not been read yet.
  std::shared_ptr<const HostsFile> get(TimePoint now);
  TimePoint late_at() const noexcept { return late_at_; }

  // To be destroyed as soon as has_ended() says so: then nobody waits for the thread.
  void stop() noexcept;
  bool is_stopped() const noexcept;
  bool has_ended() const noexcept;

 private:
  bool has_thread() noexcept;
  void run() noexcept;
  // The time at which the thread is to look at the file; nothing when it is to end.
  std::optional<TimePoint> await_order() noexcept;

  const std::filesystem::path path_;
  const std::function<void()> on_news_;
  std::optional<TimePoint> asked_;
  TimePoint late_at_;

  mutable Mutex mutex_;
  Condition wanted_;
  // The time at which the thread looks at the file.
  std::optional<TimePoint> look_at_ CARAVAN_GUARDED_BY(mutex_);
  bool stop_ CARAVAN_GUARDED_BY(mutex_) = false;
  bool has_ended_ CARAVAN_GUARDED_BY(mutex_) = false;
  // Null: the file has not been read yet.
  std::shared_ptr<const HostsFile> hosts_ CARAVAN_GUARDED_BY(mutex_);

  std::thread thread_;
};

// The readers that the resolvers of a process share, one for each file. Owned by one thread.
class HostsReaders {
 public:
  explicit HostsReaders(std::function<void()> on_news) : on_news_{std::move(on_news)} {}

  std::shared_ptr<HostsReader> of(const std::filesystem::path& path);

  // Ends the readers that nobody else keeps. To be called now and then, since none of them is waited for.
  void tidy() noexcept;

 private:
  std::function<void()> on_news_;
  std::vector<std::shared_ptr<HostsReader>> readers_;
};

}  // namespace caravan
