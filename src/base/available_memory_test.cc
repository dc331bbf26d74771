#include "base/available_memory.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <fstream>
#include <string>

namespace qasr {
namespace {

namespace fs = std::filesystem;

class AvailableMemory : public ::testing::Test {
 protected:
  AvailableMemory() : root_(fs::temp_directory_path() / ("qasr_memory_" + std::to_string(::getpid()))) {
    fs::remove_all(root_);
  }
  ~AvailableMemory() override { fs::remove_all(root_); }
  void write(const std::string& file, const std::string& text) {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text;
  }
  fs::path root_;
};

TEST_F(AvailableMemory, IsTheSystemsWithoutALimit) {
  write("proc/meminfo", "MemTotal:       100 kB\nMemFree: 3 kB\nMemAvailable:      40 kB\n");
  EXPECT_EQ(available_memory_bytes(root_), 40U * 1024);
  write("sys/fs/cgroup/memory.max", "max\n");
  EXPECT_EQ(available_memory_bytes(root_), 40U * 1024);
}

TEST_F(AvailableMemory, IsWhatTheTightestGroupLeaves) {
  write("proc/meminfo", "MemAvailable: 1000 kB\n");
  write("proc/self/cgroup", "0::/outer/inner\n");
  write("sys/fs/cgroup/outer/inner/memory.max", "900000\n");
  write("sys/fs/cgroup/outer/inner/memory.current", "100000\n");
  EXPECT_EQ(available_memory_bytes(root_), 800000U);
  write("sys/fs/cgroup/outer/memory.max", "500000\n");
  write("sys/fs/cgroup/outer/memory.current", "450000\n");
  EXPECT_EQ(available_memory_bytes(root_), 50000U);
  write("sys/fs/cgroup/outer/memory.current", "600000\n");  // over its limit
  EXPECT_EQ(available_memory_bytes(root_), 0U);
}

TEST_F(AvailableMemory, KnowsTheFirstVersionOfGroups) {
  write("proc/self/cgroup", "5:memory:/job\n");
  write("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "7000\n");
  write("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "1000\n");
  EXPECT_EQ(available_memory_bytes(root_), 6000U);
}

TEST_F(AvailableMemory, IsAGuessWhenNothingIsKnownAndSomethingHere) {
  EXPECT_EQ(available_memory_bytes(root_), std::uint64_t{1} << 30);
  EXPECT_GT(available_memory_bytes(), 0U);
}

}  // namespace
}  // namespace qasr
