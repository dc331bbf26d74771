// Trees that look like /sys and /proc of real machines: SMT, containers of both control group versions, no limits.
#include "base/cpu_topology.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace qasr {
namespace {

namespace fs = std::filesystem;

class FakeRoot {
 public:
  FakeRoot() {
    std::string pattern = (fs::temp_directory_path() / "qasr_topology_XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary directory");
    path_ = pattern;
  }
  ~FakeRoot() { fs::remove_all(path_); }
  FakeRoot(const FakeRoot&) = delete;
  FakeRoot& operator=(const FakeRoot&) = delete;

  const fs::path& path() const { return path_; }
  void write(const std::string& name, const std::string& text) {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name) << text;
  }
  void siblings(int cpu, const std::string& list, const std::string& file = "core_cpus_list") {
    write("sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/" + file, list + "\n");
  }

 private:
  fs::path path_;
};

constexpr const char* kMountV2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

TEST(CountCores, CountsHardwareThreadsOfOneCoreOnce) {
  FakeRoot root;
  for (int cpu = 0; cpu < 8; ++cpu) root.siblings(cpu, std::to_string(cpu % 4) + "," + std::to_string(cpu % 4 + 4));
  EXPECT_EQ(count_cores(std::vector{0, 1, 2, 3, 4, 5, 6, 7}, root.path()), 4);
  EXPECT_EQ(count_cores(std::vector{0, 4}, root.path()), 1);
  EXPECT_EQ(count_cores(std::vector{0, 1, 5}, root.path()), 2);  // a mask may hold one thread of a core only
  EXPECT_EQ(count_cores({}, root.path()), 0);
}

TEST(CountCores, ReadsTheOlderNameAndSurvivesItsAbsence) {
  FakeRoot root;
  root.siblings(0, "0-1", "thread_siblings_list");
  root.siblings(1, "0-1", "thread_siblings_list");
  EXPECT_EQ(count_cores(std::vector{0, 1}, root.path()), 1);
  EXPECT_EQ(count_cores(std::vector{0, 1, 2, 3}, root.path()), 3);  // 2 and 3 are unknown
}

TEST(CpuQuota, NoneWithoutControlGroups) {
  FakeRoot root;
  EXPECT_EQ(cpu_quota(root.path()), std::nullopt);
  root.write("proc/self/mountinfo", kMountV2);
  root.write("proc/self/cgroup", "0::/user.slice\n");
  EXPECT_EQ(cpu_quota(root.path()), std::nullopt);
  root.write("sys/fs/cgroup/user.slice/cpu.max", "max 100000\n");
  EXPECT_EQ(cpu_quota(root.path()), std::nullopt);
}

TEST(CpuQuota, Version2RoundsUpAndTheSmallestAncestorCounts) {
  FakeRoot root;
  root.write("proc/self/mountinfo", kMountV2);
  root.write("proc/self/cgroup", "0::/a/b\n");
  root.write("sys/fs/cgroup/a/b/cpu.max", "400000 100000\n");
  EXPECT_EQ(cpu_quota(root.path()), 4);
  root.write("sys/fs/cgroup/a/cpu.max", "150000 100000\n");
  EXPECT_EQ(cpu_quota(root.path()), 2);
  root.write("sys/fs/cgroup/cpu.max", "1000 100000\n");  // a container sees its own limit at the mount point
  EXPECT_EQ(cpu_quota(root.path()), 1);
}

TEST(CpuQuota, Version1InAContainerWithTheHostsPaths) {
  FakeRoot root;
  root.write("proc/self/mountinfo",
             "1 0 0:1 / / rw - overlay overlay rw\n"
             "2 1 0:2 /docker/f00 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
             "3 1 0:3 /docker/f00 /sys/fs/cgroup/cpu,cpuacct ro master:11 - cgroup cgroup rw,cpu,cpuacct\n");
  root.write("proc/self/cgroup", "12:cpuset:/docker/f00\n4:cpu,cpuacct:/docker/f00/job\n0::/docker/f00\n");
  root.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "50000\n");
  root.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(cpu_quota(root.path()), std::nullopt);
  root.write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "50000\n");
  root.write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "120000\n");
  EXPECT_EQ(cpu_quota(root.path()), 3);
}

TEST(CpuQuota, APathOutsideTheMountMeansTheMountPoint) {
  FakeRoot root;
  root.write("proc/self/mountinfo", "30 23 0:26 /kubepods/pod1 /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
  root.write("proc/self/cgroup", "0::/../other\n");
  root.write("sys/fs/cgroup/cpu.max", "200000 100000\n");
  EXPECT_EQ(cpu_quota(root.path()), 2);
}

TEST(CpuQuota, IgnoresNonsense) {
  FakeRoot root;
  root.write("proc/self/mountinfo", std::string("garbage\n\n") + kMountV2);
  root.write("proc/self/cgroup", "garbage\n0::/\n");
  for (const char* text : {"", "\n", "x y\n", "100000\n", "-1 100000\n", "5 0\n", "nan nan\n"}) {
    root.write("sys/fs/cgroup/cpu.max", text);
    EXPECT_EQ(cpu_quota(root.path()), std::nullopt) << text;
  }
}

TEST(CpuBudget, FollowsTheAffinityMask) {
  const CpuBudget all = cpu_budget();
  EXPECT_GE(all.n_cores, 1);
  EXPECT_GE(all.n_processors, all.n_cores);
  CpuBudget one;
  std::thread([&] {  // the mask belongs to this thread and dies with it
    cpu_set_t mask;
    ASSERT_EQ(::sched_getaffinity(0, sizeof mask, &mask), 0);
    int first = 0;
    while (!CPU_ISSET(first, &mask)) ++first;
    CPU_ZERO(&mask);
    CPU_SET(first, &mask);
    ASSERT_EQ(::sched_setaffinity(0, sizeof mask, &mask), 0);
    one = cpu_budget();
  })
      .join();
  EXPECT_EQ(one.n_cores, 1);
  EXPECT_EQ(one.n_processors, 1);
}

}  // namespace
}  // namespace qasr
