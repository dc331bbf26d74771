// CheckpointFiles: what belongs to a checkpoint, and every way a directory can be wrong.
#include "weights/checkpoint_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "weights/test_files.h"

namespace qasr {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::model_error;
using ::testing::Not;
using testing::TempDir;
using testing::to_bytes;

namespace fs = std::filesystem;

std::vector<std::string> names_of(const CheckpointFiles& files) {
  std::vector<std::string> names;
  for (const CheckpointFile& file : files.all()) names.push_back(file.name);
  return names;
}

std::string open_error(const fs::path& path) {
  return model_error([&] { CheckpointFiles::open_directory(path); });
}

TEST(CheckpointFiles, MapsWhatBelongsToACheckpointAndIgnoresTheRest) {
  const TempDir dir;
  for (const char* name : {"config.json", "model.safetensors", "merges.txt", "README.md", "model.bin", "notes.txt"}) {
    dir.write(name, name);
  }
  fs::create_directory(dir.path() / "samples");
  fs::create_directory(dir.path() / "folder.json");
  const CheckpointFiles files = CheckpointFiles::open_directory(dir.path());
  EXPECT_THAT(names_of(files), ElementsAre("config.json", "merges.txt", "model.safetensors"));
  EXPECT_EQ(files.require("merges.txt").text(), "merges.txt");
  EXPECT_EQ(files.where(), dir.path().string());
  EXPECT_EQ(files.find("README.md"), nullptr);
}

TEST(CheckpointFiles, FollowsLinksAsModelCachesUseThem) {
  const TempDir blobs, dir;
  blobs.write("0123abcd", "{}");
  fs::create_symlink(blobs.path() / "0123abcd", dir.path() / "config.json");
  EXPECT_EQ(CheckpointFiles::open_directory(dir.path()).require("config.json").text(), "{}");
}

TEST(CheckpointFiles, SurvivesMoves) {
  const TempDir dir;
  dir.write("config.json", "{\"a\": 1}");
  CheckpointFiles first = CheckpointFiles::open_directory(dir.path());
  const CheckpointFiles second = std::move(first);
  EXPECT_EQ(second.require("config.json").text(), "{\"a\": 1}");
}

TEST(CheckpointFiles, MissingConfigListsWhatIsThere) {
  const TempDir dir;
  dir.write("model.gguf", "x");
  EXPECT_THAT(open_error(dir.path()),
              AllOf(HasSubstr("config.json not found"), HasSubstr(dir.path().string()), HasSubstr("model.gguf")));
}

TEST(CheckpointFiles, EmptyDirectorySaysSo) {
  const TempDir dir;
  EXPECT_THAT(open_error(dir.path()), HasSubstr("which holds: nothing"));
}

TEST(CheckpointFiles, LongListsAreCut) {
  const TempDir dir;
  for (int i = 10; i < 40; ++i) dir.write("file" + std::to_string(i), "");
  EXPECT_THAT(open_error(dir.path()),
              AllOf(HasSubstr("file10, file11"), HasSubstr("and 18 more"), Not(HasSubstr("file39"))));
}

TEST(CheckpointFiles, WhatIsNotADirectoryIsAnError) {
  const TempDir dir;
  dir.write("model.gguf", "x");
  EXPECT_THAT(open_error(dir.path() / "model.gguf"), HasSubstr("it is a file, expected a directory"));
  EXPECT_THAT(open_error(dir.path() / "missing"), AllOf(HasSubstr("missing"), HasSubstr("cannot open")));
  EXPECT_THAT(open_error(""), HasSubstr("cannot open"));
}

TEST(CheckpointFiles, SymlinkLoopsAndDanglingLinksAreErrors) {
  const TempDir dir;
  fs::create_symlink("loop", dir.path() / "loop");
  EXPECT_THAT(open_error(dir.path() / "loop"), HasSubstr("symbolic links"));
  fs::create_symlink("config.json", dir.path() / "config.json");
  EXPECT_THAT(open_error(dir.path()), AllOf(HasSubstr("config.json"), HasSubstr("symbolic links")));
  fs::remove(dir.path() / "config.json");
  dir.write("config.json", "{}");
  fs::create_symlink("not-downloaded", dir.path() / "model.safetensors");
  EXPECT_THAT(open_error(dir.path()), AllOf(HasSubstr("model.safetensors"), HasSubstr("No such file")));
}

TEST(CheckpointFiles, ConfigThatIsADirectoryIsAnError) {
  const TempDir dir;
  fs::create_directory(dir.path() / "config.json");
  EXPECT_THAT(open_error(dir.path()), HasSubstr("a directory, expected a file"));
}

TEST(CheckpointFiles, BorrowedAndOwnedMemory) {
  const std::vector<std::byte> bytes = to_bytes("{}");
  const CheckpointFiles borrowed = CheckpointFiles::from_memory({{"config.json", bytes}}, "memory");
  EXPECT_EQ(borrowed.require("config.json").bytes.data(), bytes.data());
  CheckpointFiles owned = CheckpointFiles::from_owned({{"a.json", to_bytes("1")}, {"b.json", to_bytes("2")}}, "memory");
  const CheckpointFiles moved = std::move(owned);
  EXPECT_EQ(moved.require("b.json").text(), "2");
  EXPECT_EQ(moved.path_of("b.json"), "memory/b.json");
}

TEST(CheckpointFiles, ReleaseKeepsEveryByteReadableWhoeverOwnsIt) {
  const std::string text(100000, 'x');  // many pages: giving back memory of the caller's would leave zeros
  const std::vector<std::byte> bytes = to_bytes(text);
  const TempDir dir;
  dir.write("config.json", text);
  const CheckpointFiles borrowed = CheckpointFiles::from_memory({{"config.json", bytes}}, "memory");
  const CheckpointFiles owned = CheckpointFiles::from_owned({{"config.json", to_bytes(text)}}, "memory");
  const CheckpointFiles mapped = CheckpointFiles::open_directory(dir.path());
  for (const CheckpointFiles* files : {&borrowed, &owned, &mapped}) {
    const CheckpointFile& file = files->require("config.json");
    for (const CheckpointFiles* other : {&borrowed, &owned, &mapped}) other->release(file.bytes);
    EXPECT_EQ(file.text(), text);
  }
}

TEST(CheckpointFiles, MemoryErrorsNameFileAndSource) {
  const CheckpointFiles files = CheckpointFiles::from_owned({{"a.json", to_bytes("1")}}, "upload");
  EXPECT_THAT(model_error([&] { files.require("config.json"); }),
              AllOf(HasSubstr("config.json not found in upload"), HasSubstr("a.json")));
  EXPECT_THAT(model_error([] {
                CheckpointFiles::from_memory({{"a", {}}, {"b", {}}, {"a", {}}}, "upload");
              }),
              HasSubstr("file a is given twice in upload"));
}

}  // namespace
}  // namespace qasr
