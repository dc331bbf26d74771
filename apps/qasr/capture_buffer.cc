#include "capture_buffer.h"

#include <algorithm>
#include <chrono>

#include "qasr/error.h"

namespace qasr::app {

void CaptureBuffer::add(std::span<const float> samples) {
  {
    const std::lock_guard lock(mutex_);
    const std::size_t n = std::min(samples.size(), capacity_ - std::min(capacity_, samples_.size()));
    samples_.insert(samples_.end(), samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(n));
    n_dropped_ += samples.size() - n;
  }
  changed_.notify_one();
}

void CaptureBuffer::add_gap() noexcept {
  const std::lock_guard lock(mutex_);
  ++n_gaps_;
}

void CaptureBuffer::fail(const std::string& reason) {
  {
    const std::lock_guard lock(mutex_);
    if (failure_.empty()) failure_ = reason;
  }
  changed_.notify_one();
}

bool CaptureBuffer::read(std::vector<float>& out) {
  out.clear();
  std::unique_lock lock(mutex_);
  const auto has_news = [&] { return stopped_ || !samples_.empty() || !failure_.empty(); };
  const bool in_time = changed_.wait_for(lock, std::chrono::duration<double>(starve_s_), has_news);
  if (stopped_) return false;
  if (!samples_.empty()) {
    out.swap(samples_);
    samples_.reserve(out.capacity());
    return true;
  }
  if (!in_time) {
    throw Error(ErrorCode::kInput,
                "the microphone delivers nothing any more (" + std::to_string(starve_s_).substr(0, 3) +
                    " s without samples): unplugged, muted by the system, or taken by another program");
  }
  throw Error(ErrorCode::kInput, failure_);
}

void CaptureBuffer::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_one();
}

std::size_t CaptureBuffer::n_dropped() const {
  const std::lock_guard lock(mutex_);
  return n_dropped_;
}

std::size_t CaptureBuffer::n_gaps() const {
  const std::lock_guard lock(mutex_);
  return n_gaps_;
}

}  // namespace qasr::app
