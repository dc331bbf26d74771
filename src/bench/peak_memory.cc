// Linux: VmHWM in /proc/self/status, reset by writing 5 to /proc/self/clear_refs (man 5 proc).
#include "bench/peak_memory.h"

#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace qasr::bench {

bool reset_peak_rss() noexcept {
  const int file = ::open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool written = ::write(file, "5", 1) == 1;
  ::close(file);
  return written;
}

double peak_rss_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) == 0) return std::stod(line.substr(6)) * 1024 / 1e6;  // in KiB
  }
  return 0;
}

}  // namespace qasr::bench
