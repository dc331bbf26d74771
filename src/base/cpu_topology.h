// How many threads pay off on this machine for this process: its affinity mask, hardware threads that share a core,
// and the CPU time its control groups grant. Linux only: /sys and /proc.
#pragma once

#include <filesystem>
#include <optional>
#include <span>

namespace qasr {

struct CpuBudget {
  int n_processors = 1;  ///< logical processors the process may use at a time, at least 1
  int n_cores = 1;       ///< the same, hardware threads of one core counted once
};

/// What this process may use: of the processors in the calling thread's affinity mask, at most as many as the CPU time
/// quota of its control groups pays for. A limit that cannot be read does not count.
CpuBudget cpu_budget();

/// The parts of cpu_budget(), on a tree that looks like / (tests bring their own).
///
/// Cores that `processors` belong to, by sys/devices/system/cpu/cpuN/topology/core_cpus_list (before Linux 5.3:
/// thread_siblings_list). A processor without that file counts as a core.
int count_cores(std::span<const int> processors, const std::filesystem::path& root);

/// CPU time quota in processors, rounded up; nothing when there is none. The smallest one counts on the way from the
/// process's control group (proc/self/cgroup) up to where its hierarchy is mounted (proc/self/mountinfo):
///   version 2  cpu.max "QUOTA PERIOD" or "max PERIOD"
///   version 1  cpu.cfs_quota_us (-1: none) and cpu.cfs_period_us
std::optional<int> cpu_quota(const std::filesystem::path& root);

}  // namespace qasr
