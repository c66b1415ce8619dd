#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

// With -Wthread-safety clang checks that what a mutex guards is touched by those who hold it only. Other compilers know
// no such attributes.
#if defined(__clang__)
#define CARAVAN_THREAD_SAFETY(attribute) __attribute__((attribute))
#else
#define CARAVAN_THREAD_SAFETY(attribute)
#endif

// To be touched by who holds the mutex.
#define CARAVAN_GUARDED_BY(mutex) CARAVAN_THREAD_SAFETY(guarded_by(mutex))
// To be called by who holds it.
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

// Holds a mutex for as long as it lives.
class CARAVAN_THREAD_SAFETY(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) CARAVAN_THREAD_SAFETY(acquire_capability(mutex)) : mutex_{mutex} { mutex_.lock(); }
  ~MutexLock() CARAVAN_THREAD_SAFETY(release_capability()) { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// What a thread waits for that holds a mutex, which it does not hold meanwhile. A wait may end for no reason.
class Condition {
 public:
  void notify_one() noexcept { condition_.notify_one(); }
  void notify_all() noexcept { condition_.notify_all(); }

  void wait(Mutex& mutex) CARAVAN_REQUIRES(mutex) {
    std::unique_lock lock{mutex.mutex_, std::adopt_lock};
    condition_.wait(lock);
    lock.release();
  }

  // Returns false when the time has come.
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
