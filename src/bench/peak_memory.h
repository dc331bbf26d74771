// The most memory this process had resident, files it has mapped included.
#pragma once

namespace qasr::bench {

/// Starts over from what is resident now. False where the system has no such reset: peaks then count from the start.
bool reset_peak_rss() noexcept;

/// In units of 10^6 bytes; 0 where the system does not tell.
double peak_rss_mb();

}  // namespace qasr::bench
