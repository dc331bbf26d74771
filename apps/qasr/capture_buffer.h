// CaptureBuffer: samples on their way from an audio driver's callback to a reading thread. Never makes the driver wait;
// says what was lost, and notices when the driver has stopped.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace qasr::app {

class CaptureBuffer {
 public:
  /// @param capacity  samples that wait at most; more are dropped, the oldest are kept
  /// @param starve_s  without samples for so long the device counts as gone
  CaptureBuffer(std::size_t capacity, double starve_s) : capacity_(capacity), starve_s_(starve_s) {}

  /// The driver: any thread, never waits for the reader.
  void add(std::span<const float> samples);
  /// The driver lost samples itself (overflow in the hardware).
  void add_gap() noexcept;
  /// The device has gone; `reason` is what read() will throw.
  void fail(const std::string& reason);

  /// The reader: replaces `out` by what has come; waits for some.
  /// @return false after stop()
  /// @throws Error kInput  fail() was called and everything before was read; or nothing came for starve_s
  bool read(std::vector<float>& out);
  void stop();

  std::size_t n_dropped() const;
  std::size_t n_gaps() const;

 private:
  std::size_t capacity_;
  double starve_s_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<float> samples_;
  std::size_t n_dropped_ = 0, n_gaps_ = 0;
  bool stopped_ = false;
  std::string failure_;
};

}  // namespace qasr::app
