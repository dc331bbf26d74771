// Every way in which a packed file can be wrong must be noticed before a byte of it is used, and writers must not
// disturb readers, each other, or leave anything behind.
#include "weights/packed_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "weights/packed_file_format.h"
#include "weights/test_files.h"

namespace qasr {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::model_error;
using testing::TempDir;
using testing::to_bytes;

namespace fs = std::filesystem;

constexpr const char* kKey = "a key\nof two lines";

class PackedFileTest : public ::testing::Test {
 protected:
  fs::path path() const { return dir_.path() / "sub" / "weights.qasrpack"; }
  void write(char fill = 'x') const {
    PackedFileWriter writer(path(), kKey);
    writer.add("small", to_bytes("abc"));
    writer.add("large", to_bytes(std::string(3 * kPackedPage + 5, fill)));
    writer.add("empty", {});
    const std::uint64_t n_bytes = writer.finish();
    if (n_bytes != fs::file_size(path())) throw std::runtime_error("not the size that was written");
  }
  std::string contents() const {
    std::ifstream file(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void overwrite(const std::string& bytes) const { std::ofstream(path(), std::ios::binary) << bytes; }
  std::string open_error(const std::string& key = kKey) const {
    return model_error([&] { PackedFile(path(), key, 2); });
  }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(path().parent_path())) found.push_back(entry.path().filename());
    return found;
  }

  TempDir dir_;
};

TEST_F(PackedFileTest, SectionsComeBackPageAligned) {
  write();
  for (int n_threads : {1, 2, 9}) {
    const PackedFile file(path(), kKey, n_threads);
    const auto small = file.find("small"), large = file.find("large");
    EXPECT_EQ(std::vector<std::byte>(small.begin(), small.end()), to_bytes("abc"));
    EXPECT_EQ(std::vector<std::byte>(large.begin(), large.end()), to_bytes(std::string(3 * kPackedPage + 5, 'x')));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(large.data()) % kPackedPage, 0U);
    EXPECT_TRUE(file.find("empty").empty());
    EXPECT_TRUE(file.find("unknown").empty());
  }
  EXPECT_THAT(names(), ElementsAre("weights.qasrpack"));
}

TEST_F(PackedFileTest, AnotherKeyIsRefused) {
  write();
  EXPECT_THAT(open_error("another key"), HasSubstr("belongs to another checkpoint"));
}

TEST_F(PackedFileTest, EveryTruncationIsNoticed) {
  write();
  const std::string whole = contents();
  for (std::size_t size : {std::size_t{0}, std::size_t{8}, std::size_t{56}, std::size_t{kPackedPage - 1},
                           std::size_t{kPackedPage}, whole.size() / 2, whole.size() - 1}) {
    overwrite(whole.substr(0, size));
    EXPECT_THAT(open_error(), HasSubstr("is damaged")) << size;
  }
  overwrite(whole + "x");
  EXPECT_THAT(open_error(), HasSubstr("is damaged"));
}

// Every byte that means something; what lies between sections does not.
TEST_F(PackedFileTest, EveryFlippedBitIsNoticed) {
  write();
  const std::string whole = contents();
  std::vector<std::size_t> positions;
  for (std::size_t position = 0; position < sizeof(PackedFileHeader); ++position) positions.push_back(position);
  for (std::size_t position = kPackedPage; position < kPackedPage + 3; ++position) positions.push_back(position);
  for (std::size_t position = 2 * kPackedPage; position < whole.size(); position += 97) positions.push_back(position);
  positions.push_back(whole.size() - 1);
  for (std::size_t position : positions) {
    std::string damaged = whole;
    damaged[position] = static_cast<char>(damaged[position] ^ 1 << position % 8);
    overwrite(damaged);
    const bool is_in_gap = position >= 5 * kPackedPage + 5 && position < 6 * kPackedPage;
    if (is_in_gap) continue;
    EXPECT_THAT(open_error(), HasSubstr("is damaged")) << "byte " << position;
  }
  overwrite(whole);
  PackedFile(path(), kKey, 1);  // the undamaged file is fine
}

TEST_F(PackedFileTest, AnUnfinishedWriterLeavesNothing) {
  {
    PackedFileWriter writer(path(), kKey);
    writer.add("large", to_bytes(std::string(100000, 'x')));
    EXPECT_EQ(names().size(), 1U);  // a temporary name
  }
  EXPECT_THAT(names(), ElementsAre());
}

TEST_F(PackedFileTest, AKilledWritersFileIsRemovedByTheNextButALivingOnesIsNot) {
  const pid_t child = ::fork();
  if (child == 0) {
    PackedFileWriter writer(path(), kKey);
    writer.add("large", to_bytes(std::string(100000, 'x')));
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  ASSERT_EQ(names().size(), 1U);

  PackedFileWriter living(path(), kKey);
  EXPECT_EQ(names().size(), 1U);
  living.add("large", to_bytes("living"));
  write();
  EXPECT_EQ(names().size(), 2U);
  living.finish();  // the last one wins
  EXPECT_THAT(names(), ElementsAre("weights.qasrpack"));
  EXPECT_EQ(PackedFile(path(), kKey, 1).find("large").size(), 6U);
}

TEST_F(PackedFileTest, ReadersKeepTheFileTheyMapped) {
  write('x');
  const PackedFile old(path(), kKey, 1);
  write('y');
  EXPECT_EQ(old.find("large")[0], std::byte{'x'});
  EXPECT_EQ(PackedFile(path(), kKey, 1).find("large")[0], std::byte{'y'});
}

TEST_F(PackedFileTest, ProcessesThatWriteAtOnceLeaveOneWholeFile) {
  constexpr int kProcesses = 4;
  for (int process = 0; process < kProcesses; ++process) {
    if (::fork() != 0) continue;
    try {
      for (int round = 0; round < 10; ++round) write();
    } catch (...) {
      ::_exit(2);
    }
    ::_exit(0);
  }
  for (int process = 0; process < kProcesses; ++process) {
    int status = 0;
    ASSERT_GT(::wait(&status), 0);
    EXPECT_EQ(status, 0);
  }
  PackedFile(path(), kKey, 1);
  EXPECT_THAT(names(), ElementsAre("weights.qasrpack"));
}

// A limit on the file size stands in for a full disk: write() fails in the same way.
TEST_F(PackedFileTest, AFullDiskIsAnErrorAndLeavesNothing) {
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 8 * kPackedPage;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string message = model_error([&] {
    PackedFileWriter writer(path(), kKey);
    writer.add("large", to_bytes(std::string(100 * kPackedPage, 'x')));
  });
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_THAT(message, HasSubstr("cannot write"));
  EXPECT_THAT(names(), ElementsAre());
}

TEST_F(PackedFileTest, ADirectoryThatCannotBeMadeIsAnError) {
  dir_.write("sub", "a file");
  EXPECT_THAT(model_error([&] { PackedFileWriter(path(), kKey); }), HasSubstr("cannot write"));
}

}  // namespace
}  // namespace qasr
