// LoadProgress: a line a second while a slow load packs weights; a fast one stays silent.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string_view>

namespace qasr {

class LoadProgress {
 public:
  using Clock = std::chrono::steady_clock;

  /// @param log  receives "packing weights: 43 %"; may be empty
  LoadProgress(std::uint64_t total_bytes, std::function<void(std::string_view)> log, Clock::time_point start)
      : total_bytes_(total_bytes), log_(std::move(log)), last_line_(start) {}

  /// So many more bytes of the checkpoint are packed. Reports when the start or the last line is a second ago.
  void add(std::uint64_t bytes, Clock::time_point now);

 private:
  std::uint64_t total_bytes_, done_bytes_ = 0;
  std::function<void(std::string_view)> log_;
  Clock::time_point last_line_;
};

}  // namespace qasr
