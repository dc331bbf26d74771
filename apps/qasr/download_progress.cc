#include "download_progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

namespace qasr::app {
namespace {

std::string time_text(double seconds) {
  char text[32];
  const auto s = static_cast<long>(std::min(seconds, 359999.0));
  std::snprintf(text, sizeof text, s >= 3600 ? "%ld:%02ld:%02ld" : "%.0ld%ld:%02ld", s / 3600, s / 60 % 60, s % 60);
  return text;
}

}  // namespace

DownloadProgress::DownloadProgress(bool shown) : shown_(shown), is_terminal_(::isatty(STDERR_FILENO) != 0) {}

void DownloadProgress::start(std::uint64_t present_bytes, std::uint64_t total_bytes) {
  done_bytes_ = static_cast<std::int64_t>(present_bytes);
  total_bytes_ = static_cast<std::int64_t>(total_bytes);
  begin_ = last_ = Clock::now();
}

void DownloadProgress::add(std::int64_t n_bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  done_bytes_ += n_bytes;
  arrived_bytes_ += std::max<std::int64_t>(0, n_bytes);
  const Clock::time_point now = Clock::now();
  if (now - last_ < (is_terminal_ ? std::chrono::milliseconds(200) : std::chrono::milliseconds(10000))) return;
  last_ = now;
  show(now);
}

void DownloadProgress::finish() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (arrived_bytes_ > 0) show(Clock::now());
  if (shown_ && is_terminal_ && arrived_bytes_ > 0) std::fputs("\n", stderr);
}

// 43 % [=========>          ] 812.3 of 1880.2 MB, 24.1 MB/s, 0:44 left
void DownloadProgress::show(Clock::time_point now) {
  if (!shown_) return;
  constexpr int kWidth = 24;
  const double seconds = std::max(1e-3, std::chrono::duration<double>(now - begin_).count());
  const double rate = static_cast<double>(arrived_bytes_) / seconds;
  const double part = total_bytes_ > 0 ? static_cast<double>(done_bytes_) / static_cast<double>(total_bytes_) : 1;
  const int filled = std::clamp(static_cast<int>(part * kWidth), 0, kWidth);
  const std::string bar =
      std::string(static_cast<std::size_t>(filled), '=') + std::string(static_cast<std::size_t>(kWidth - filled), ' ');
  const std::string left = rate > 0 ? time_text(static_cast<double>(total_bytes_ - done_bytes_) / rate) : "?";
  std::fprintf(stderr, "%s%3.0f %% [%s] %.1f of %.1f MB, %.1f MB/s, %s left%s", is_terminal_ ? "\r" : "", 100 * part,
               bar.c_str(), static_cast<double>(done_bytes_) / 1e6, static_cast<double>(total_bytes_) / 1e6, rate / 1e6,
               left.c_str(), is_terminal_ ? "  " : "\n");
}

}  // namespace qasr::app
