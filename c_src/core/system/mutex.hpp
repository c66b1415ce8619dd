#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

// Attributes for clang's -Wthread-safety, which checks that data guarded by a mutex is accessed by its holder only.
// Other compilers do not know them.
#if defined(__clang__)
#define CARAVAN_THREAD_SAFETY(attribute) __attribute__((attribute))
#else
#define CARAVAN_THREAD_SAFETY(attribute)
#endif

// Marks data that may be accessed only while `mutex` is held.
#define CARAVAN_GUARDED_BY(mutex) CARAVAN_THREAD_SAFETY(guarded_by(mutex))
// Marks a function that may be called only while `mutex` is held.
#define CARAVAN_REQUIRES(mutex) CARAVAN_THREAD_SAFETY(requires_capability(mutex))

namespace caravan {

class CARAVAN_THREAD_SAFETY(capability("mutex")) Mutex {
 public:
  void lock() CARAVAN_THREAD_SAFETY(acquire_capability()) { mutex_.lock(); }
  void unlock() CARAVAN_THREAD_SAFETY(release_capability()) { mutex_.unlock(); }

 private:
  friend class Condition;

  std::mutex mutex_;
};

// Locks a mutex for the lifetime of this object.
class CARAVAN_THREAD_SAFETY(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) CARAVAN_THREAD_SAFETY(acquire_capability(mutex)) : mutex_{mutex} { mutex_.lock(); }
  ~MutexLock() CARAVAN_THREAD_SAFETY(release_capability()) { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// A condition variable for Mutex. A wait releases the mutex while it blocks, and may wake spuriously.
class Condition {
 public:
  void notify_one() noexcept { condition_.notify_one(); }
  void notify_all() noexcept { condition_.notify_all(); }

  void wait(Mutex& mutex) CARAVAN_REQUIRES(mutex) {
    std::unique_lock lock{mutex.mutex_, std::adopt_lock};
    condition_.wait(lock);
    lock.release();
  }

  // Returns false if `when` has passed, true if it was notified or woke spuriously.
  bool wait_until(Mutex& mutex, std::chrono::steady_clock::time_point when) CARAVAN_REQUIRES(mutex) {
    std::unique_lock lock{mutex.mutex_, std::adopt_lock};
    const auto status = condition_.wait_until(lock, when);
    lock.release();
    return status == std::cv_status::no_timeout;
  }

 private:
  std::condition_variable condition_;
};

}  // namespace caravan
