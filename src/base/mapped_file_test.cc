// MappedFile: contents, moves, and everything that is not a readable regular file.
#include "base/mapped_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "qasr/error.h"

namespace qasr {
namespace {

namespace fs = std::filesystem;

class MappedFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "qasr_mapped_file_XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
  }
  void TearDown() override { fs::remove_all(dir_); }

  fs::path write(const std::string& name, std::string_view text) const {
    std::ofstream(dir_ / name, std::ios::binary) << text;
    return dir_ / name;
  }
  static std::string text_of(const MappedFile& file) {
    return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
  }
  // The message of the error that mapping `path` must raise.
  static std::string error_of(const fs::path& path) {
    try {
      MappedFile file(path);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kModel);
      EXPECT_NE(std::string(error.what()).find(path.string()), std::string::npos) << error.what();
      return error.what();
    }
    ADD_FAILURE() << path << " was mapped";
    return {};
  }

  fs::path dir_;
};

TEST_F(MappedFileTest, HoldsTheBytesOfTheFile) {
  std::string text(10000, 'x');
  text[4096] = '\0';
  EXPECT_EQ(text_of(MappedFile(write("data", text))), text);
}

TEST_F(MappedFileTest, EmptyFileIsAnEmptySpan) { EXPECT_TRUE(MappedFile(write("empty", "")).bytes().empty()); }

TEST_F(MappedFileTest, FollowsSymbolicLinks) {
  fs::create_symlink(write("data", "abc"), dir_ / "link");
  EXPECT_EQ(text_of(MappedFile(dir_ / "link")), "abc");
}

TEST_F(MappedFileTest, OutlivesTheDirectoryEntry) {
  const fs::path path = write("data", "abc");
  const MappedFile file(path);
  fs::remove(path);
  EXPECT_EQ(text_of(file), "abc");
}

TEST_F(MappedFileTest, MovesLeaveEachMappingWithOneOwner) {
  MappedFile first(write("first", "1")), second(write("second", "22"));
  MappedFile third(std::move(first));
  EXPECT_EQ(text_of(third), "1");
  EXPECT_TRUE(first.bytes().empty());  // NOLINT(bugprone-use-after-move): moved-from is documented as empty
  third = std::move(second);
  EXPECT_EQ(text_of(third), "22");
}

// Pages of this process's address range that are in memory; nothing if the system does not tell.
std::optional<std::size_t> pages_present(std::span<const std::byte> bytes) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const std::uintptr_t first = reinterpret_cast<std::uintptr_t>(bytes.data()) / page;
  std::vector<std::uint64_t> entries(bytes.size() / page);
  const int pagemap = ::open("/proc/self/pagemap", O_RDONLY);
  const std::size_t n_bytes = entries.size() * sizeof(std::uint64_t);
  const ssize_t n_read = ::pread(pagemap, entries.data(), n_bytes, static_cast<off_t>(first * sizeof(std::uint64_t)));
  ::close(pagemap);
  if (n_read != static_cast<ssize_t>(n_bytes)) return std::nullopt;
  return std::count_if(entries.begin(), entries.end(), [](std::uint64_t entry) { return entry >> 63 != 0; });
}

TEST_F(MappedFileTest, ReleasedPagesLeaveMemoryAndStayReadable) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::string text = std::string(64 * page, 'a') + std::string(64 * page, 'b');
  const MappedFile file(write("large", text));
  ASSERT_EQ(text_of(file), text);  // touches every page
  const auto first_half = file.bytes().first(64 * page), second_half = file.bytes().last(64 * page);
  if (!pages_present(file.bytes())) GTEST_SKIP() << "/proc/self/pagemap is not readable";
  ASSERT_EQ(pages_present(file.bytes()), 128U);

  const std::string elsewhere(2 * page, 'c');
  file.release(std::as_bytes(std::span(elsewhere)));
  file.release({});
  EXPECT_EQ(pages_present(file.bytes()), 128U);
  EXPECT_EQ(elsewhere, std::string(2 * page, 'c'));

  file.release(first_half.subspan(1, first_half.size() - 2));  // whole pages: the first and the last one too
  EXPECT_EQ(pages_present(first_half), 0U);
  EXPECT_EQ(pages_present(second_half), 64U);
  EXPECT_EQ(text_of(file), text);
}

TEST_F(MappedFileTest, WhatCannotBeMappedIsAnError) {
  EXPECT_NE(error_of(dir_ / "missing").find("No such file"), std::string::npos);
  EXPECT_NE(error_of(dir_).find("a directory"), std::string::npos);
  fs::create_symlink("loop", dir_ / "loop");
  EXPECT_NE(error_of(dir_ / "loop").find("symbolic links"), std::string::npos);
  fs::create_symlink("nowhere", dir_ / "dangling");
  EXPECT_NE(error_of(dir_ / "dangling").find("No such file"), std::string::npos);
  EXPECT_NE(error_of("/dev/null").find("not a regular file"), std::string::npos);
}

TEST_F(MappedFileTest, PipeFailsInsteadOfWaitingForAWriter) {
  ASSERT_EQ(::mkfifo((dir_ / "pipe").c_str(), 0600), 0);
  EXPECT_NE(error_of(dir_ / "pipe").find("not a regular file"), std::string::npos);
}

}  // namespace
}  // namespace qasr
