#include "bench/synthetic_cache.h"

#include <gtest/gtest.h>

#include <fstream>

#include "qasr/error.h"
#include "weights/test_files.h"
#include "weights/weight_store.h"

namespace qasr::bench {
namespace {

namespace fs = std::filesystem;

std::size_t n_entries(const fs::path& directory) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(directory), fs::directory_iterator()));
}

TEST(SyntheticCache, WritesOnce) {
  const testing::TempDir cache;
  int n_lines = 0;
  const auto log = [&](std::string_view) { ++n_lines; };
  const fs::path first = cached_synthetic_checkpoint(cache.path() / "below", "tiny_c", log);
  EXPECT_EQ(n_lines, 1);
  const CheckpointFiles files = CheckpointFiles::open_directory(first);
  EXPECT_GT(WeightStore(files, parse_model_config(files)).all().size(), 10U);

  std::ofstream(first / "mark") << "still here";
  EXPECT_EQ(cached_synthetic_checkpoint(cache.path() / "below", "tiny_c", log), first);
  EXPECT_EQ(n_lines, 1);
  EXPECT_TRUE(fs::exists(first / "mark"));
  EXPECT_EQ(n_entries(cache.path() / "below"), 1U);  // nothing temporary is left
}

TEST(SyntheticCache, ModelsDoNotMeet) {
  const testing::TempDir cache;
  EXPECT_NE(cached_synthetic_checkpoint(cache.path(), "tiny_c", {}),
            cached_synthetic_checkpoint(cache.path(), "tiny_a", {}));
}

TEST(SyntheticCache, Failures) {
  const testing::TempDir cache;
  EXPECT_THROW(cached_synthetic_checkpoint(cache.path(), "tiny_z", {}), Error);
  EXPECT_EQ(n_entries(cache.path()), 0U);
  std::ofstream(cache.path() / "file") << "not a directory";
  EXPECT_THROW(cached_synthetic_checkpoint(cache.path() / "file", "tiny_c", {}), Error);
}

}  // namespace
}  // namespace qasr::bench
