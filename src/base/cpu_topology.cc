// See cpu_topology.h. Formats: cgroups(7), proc_pid_mountinfo(5), Documentation/admin-guide/cputopology.rst of Linux.
#include "base/cpu_topology.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace qasr {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxProcessors = 1 << 20;

std::vector<int> allowed_processors() {
  for (int n = CPU_SETSIZE; n <= kMaxProcessors; n *= 2) {
    cpu_set_t* mask = CPU_ALLOC(static_cast<std::size_t>(n));
    if (mask == nullptr) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(static_cast<std::size_t>(n));
    std::vector<int> processors;
    const int status = ::sched_getaffinity(0, bytes, mask);
    const bool too_small = status != 0 && errno == EINVAL;  // the kernel's mask is larger
    for (int cpu = 0; status == 0 && cpu < n; ++cpu) {
      if (CPU_ISSET_S(static_cast<std::size_t>(cpu), bytes, mask)) processors.push_back(cpu);
    }
    CPU_FREE(mask);
    if (!too_small) return processors;
  }
  return {};
}

// First line of a file; empty if there is none.
std::string first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// Whether `name` is one of the comma-separated `list`.
bool lists(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    if (list.substr(0, comma) == name) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

// A mounted hierarchy that may limit CPU time.
struct Hierarchy {
  bool is_v2 = false;
  std::string root;         // the group that is visible at mount_point
  std::string mount_point;  // "/sys/fs/cgroup"
};

// Lines: "36 35 98:0 ROOT MOUNT_POINT options [optional fields] - TYPE SOURCE super_options".
std::vector<Hierarchy> cpu_hierarchies(const fs::path& root) {
  std::vector<Hierarchy> found;
  std::ifstream file(root / "proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t separator = line.find(" - ");
    if (separator == std::string::npos) continue;
    std::string skipped, type, super_options;
    Hierarchy hierarchy;
    std::istringstream(line) >> skipped >> skipped >> skipped >> hierarchy.root >> hierarchy.mount_point;
    std::istringstream(line.substr(separator + 3)) >> type >> skipped >> super_options;
    hierarchy.is_v2 = type == "cgroup2";
    if (hierarchy.is_v2 || (type == "cgroup" && lists(super_options, "cpu"))) found.push_back(hierarchy);
  }
  return found;
}

// The process's group in that hierarchy, relative to its mount point. Lines: "0::PATH" (version 2),
// "4:cpu,cpuacct:PATH".
fs::path own_group(const Hierarchy& hierarchy, const fs::path& root) {
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (hierarchy.is_v2 ? !controllers.empty() : !lists(controllers, "cpu")) continue;
    const fs::path group = fs::path(line.substr(second + 1)).lexically_relative(hierarchy.root);
    // Outside of what is mounted (another namespace's path): the mount point is the best known place.
    return group.empty() || *group.begin() == ".." ? fs::path() : group;
  }
  return {};
}

// Quota of one group in processors; nothing when it has none.
std::optional<double> group_quota(const fs::path& group, bool is_v2) {
  double quota = 0, period = 0;
  if (is_v2) {
    std::istringstream(first_line(group / "cpu.max")) >> quota >> period;  // "max" leaves both at 0
  } else {
    quota = std::atof(first_line(group / "cpu.cfs_quota_us").c_str());
    period = std::atof(first_line(group / "cpu.cfs_period_us").c_str());
  }
  return quota > 0 && period > 0 ? std::optional(quota / period) : std::nullopt;
}

}  // namespace

int count_cores(std::span<const int> processors, const fs::path& root) {
  std::set<std::string> cores;  // siblings have the same list
  for (const int cpu : processors) {
    const fs::path topology = root / "sys/devices/system/cpu" / ("cpu" + std::to_string(cpu)) / "topology";
    std::string siblings = first_line(topology / "core_cpus_list");
    if (siblings.empty()) siblings = first_line(topology / "thread_siblings_list");
    cores.insert(siblings.empty() ? "processor " + std::to_string(cpu) : siblings);
  }
  return static_cast<int>(cores.size());
}

std::optional<int> cpu_quota(const fs::path& root) {
  std::optional<double> smallest;
  for (const Hierarchy& hierarchy : cpu_hierarchies(root)) {
    const fs::path mount = root / fs::path(hierarchy.mount_point).relative_path();
    for (fs::path group = own_group(hierarchy, root);; group = group.parent_path()) {
      const std::optional<double> quota = group_quota(mount / group, hierarchy.is_v2);
      if (quota && (!smallest || *quota < *smallest)) smallest = quota;
      if (group.empty()) break;
    }
  }
  if (!smallest) return std::nullopt;
  return std::max(1, static_cast<int>(std::ceil(std::min<double>(*smallest, kMaxProcessors))));
}

CpuBudget cpu_budget() {
  const std::vector<int> processors = allowed_processors();
  const int n_processors =
      processors.empty() ? static_cast<int>(std::thread::hardware_concurrency()) : static_cast<int>(processors.size());
  const int n_cores = processors.empty() ? n_processors : count_cores(processors, "/");
  const int quota = cpu_quota("/").value_or(kMaxProcessors);
  return {.n_processors = std::max(1, std::min(n_processors, quota)), .n_cores = std::max(1, std::min(n_cores, quota))};
}

}  // namespace qasr
