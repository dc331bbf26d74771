// MappedFile: contents, moves, and everything that is not a readable regular file.
#include "base/mapped_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>

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
