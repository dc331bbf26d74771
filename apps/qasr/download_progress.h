// The progress of a download on standard error: a line that renews itself on a terminal, a line now and then elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>

namespace qasr::app {

class DownloadProgress {
 public:
  explicit DownloadProgress(bool shown);
  void start(std::uint64_t present_bytes, std::uint64_t total_bytes);
  /// From any thread; negative when a file starts over.
  void add(std::int64_t n_bytes);
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  void show(Clock::time_point now);

  std::mutex mutex_;
  bool shown_, is_terminal_;
  std::int64_t done_bytes_ = 0, total_bytes_ = 0, arrived_bytes_ = 0;
  Clock::time_point begin_{}, last_{};
};

}  // namespace qasr::app
