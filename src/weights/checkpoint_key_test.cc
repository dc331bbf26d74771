// What changes the key of a checkpoint and what does not.
#include "weights/checkpoint_key.h"

#include <gtest/gtest.h>

#include "weights/model_config.h"
#include "weights/synthetic_checkpoint.h"
#include "weights/test_files.h"

namespace qasr {
namespace {

namespace fs = std::filesystem;
using testing::TempDir;

constexpr const char* kShard = "model.safetensors";

class CheckpointKeyTest : public ::testing::Test {
 protected:
  CheckpointKeyTest() {
    const CheckpointFiles files = synthetic_checkpoint(synthetic_model("tiny_a"));
    for (const CheckpointFile& file : files.all()) dir_.write(file.name, file.text());
    time_ = fs::last_write_time(dir_.path() / kShard);
  }
  std::string key() const {
    const CheckpointFiles files = CheckpointFiles::open_directory(dir_.path());
    return checkpoint_key(files, WeightStore(files, parse_model_config(files)));
  }
  // Overwrites one byte of the shard, counted from its end, and puts the time back.
  void edit(std::size_t from_end) const {
    std::fstream file(dir_.path() / kShard, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-static_cast<std::streamoff>(from_end), std::ios::end);
    file.put('\x55');
    file.close();
    fs::last_write_time(dir_.path() / kShard, time_);
  }

  TempDir dir_;
  fs::file_time_type time_;
};

TEST_F(CheckpointKeyTest, IsTheSameForTheSameFiles) { EXPECT_EQ(key(), key()); }

TEST_F(CheckpointKeyTest, FollowsTimeConfigAndContents) {
  const std::string before = key();
  dir_.write("README.md", "no part of the model");
  dir_.write("vocab.json", "{}");
  EXPECT_EQ(key(), before);

  fs::last_write_time(dir_.path() / kShard, time_ + std::chrono::seconds(1));
  EXPECT_NE(key(), before);
  fs::last_write_time(dir_.path() / kShard, time_);
  EXPECT_EQ(key(), before);

  edit(1);  // the last byte of the last tensor, same size, same time
  EXPECT_NE(key(), before);
}

TEST_F(CheckpointKeyTest, FollowsTheConfiguration) {
  const std::string before = key();
  const fs::path config = dir_.path() / "config.json";
  const auto time = fs::last_write_time(config);
  std::ifstream file(config);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::size_t at = text.find("rms_norm_eps");
  ASSERT_NE(at, std::string::npos);
  text[text.find_first_of("123456789", at)] = '7';
  dir_.write("config.json", text);
  fs::last_write_time(config, time);
  EXPECT_NE(key(), before);
}

}  // namespace
}  // namespace qasr
