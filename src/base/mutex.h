// Mutex, MutexLock and CondVar: the standard ones with the annotations Clang's -Wthread-safety reads, so that a member
// marked QASR_GUARDED_BY cannot be touched without its lock.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define QASR_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define QASR_THREAD_ANNOTATION(x)
#endif

#define QASR_CAPABILITY(name) QASR_THREAD_ANNOTATION(capability(name))
#define QASR_SCOPED_CAPABILITY QASR_THREAD_ANNOTATION(scoped_lockable)
#define QASR_GUARDED_BY(mutex) QASR_THREAD_ANNOTATION(guarded_by(mutex))
#define QASR_REQUIRES(...) QASR_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define QASR_EXCLUDES(...) QASR_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
#define QASR_ACQUIRE(...) QASR_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define QASR_TRY_ACQUIRE(...) QASR_THREAD_ANNOTATION(try_acquire_capability(__VA_ARGS__))
#define QASR_RELEASE(...) QASR_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define QASR_NO_THREAD_SAFETY_ANALYSIS QASR_THREAD_ANNOTATION(no_thread_safety_analysis)

namespace qasr {

class QASR_CAPABILITY("mutex") Mutex {
 public:
  void lock() QASR_ACQUIRE() { mutex_.lock(); }
  bool try_lock() QASR_TRY_ACQUIRE(true) { return mutex_.try_lock(); }
  void unlock() QASR_RELEASE() { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

/// Holds a Mutex for one scope.
class QASR_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) QASR_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() QASR_RELEASE() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

/// wait() returns on a notification or for no reason at all: call it in a loop over the condition.
class CondVar {
 public:
  void wait(Mutex& mutex) QASR_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();  // the caller still holds it
  }
  /// False if the time has come.
  bool wait_until(Mutex& mutex, std::chrono::steady_clock::time_point time) QASR_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    const std::cv_status status = condition_.wait_until(lock, time);
    lock.release();
    return status == std::cv_status::no_timeout;
  }
  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace qasr
