#include "engine/load_progress.h"

#include <string>

namespace qasr {

void LoadProgress::add(std::uint64_t bytes, Clock::time_point now) {
  done_bytes_ += bytes;
  if (!log_ || total_bytes_ == 0 || now - last_line_ < std::chrono::seconds(1)) return;
  last_line_ = now;
  log_("packing weights: " + std::to_string(done_bytes_ * 100 / total_bytes_) + " %");
}

}  // namespace qasr
