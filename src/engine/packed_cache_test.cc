// A model loaded through the cache computes the same bits as one that packs its weights, whatever state the cache is
// in.
#include "engine/packed_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <vector>

#include "backend/registry.h"
#include "model/kv_cache.h"
#include "model/text_decoder.h"
#include "weights/model_config.h"
#include "weights/synthetic_checkpoint.h"
#include "weights/test_files.h"

namespace qasr {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

namespace fs = std::filesystem;

class PackedCacheTest : public ::testing::Test {
 protected:
  PackedCacheTest() {
    const CheckpointFiles files = synthetic_checkpoint(synthetic_model("tiny_b"));
    for (const CheckpointFile& file : files.all()) model_.write(file.name, file.text());
  }

  struct Result {
    std::vector<float> logits;
    bool was_hit = false;
    std::vector<std::string> warnings;
  };
  // Loads the decoder, with the cache if `cache_dir` is not empty, and computes the logits after a short prompt.
  Result load_and_run(const fs::path& cache_dir, WeightFormat format = WeightFormat::kQ4,
                      const std::string& isa = "generic") const {
    Result result;
    const CheckpointFiles files = CheckpointFiles::open_directory(model_.path());
    const ModelConfig config = parse_model_config(files);
    const WeightStore weights(files, config);
    std::unique_ptr<PackedCache> cache;
    const auto backend = make_cpu_backend(2, isa);
    cache = open_packed_cache(cache_dir, files, weights, format, *backend,
                              [&](std::string_view line) { result.warnings.emplace_back(line); });
    const TextDecoder decoder(config.text, config.audio_token_id, {weights, *backend, format});
    if (cache != nullptr) cache->finish(*backend);
    result.was_hit = cache != nullptr && cache->is_hit();

    KvPool pool(*backend, config.text, 100, DType::kF32);
    KvSequence sequence(pool);
    const std::vector<std::int32_t> ids = {1, 5, 9, 1000};
    const PrefillInput input{.sequence = &sequence, .ids = ids, .audio = {}};
    DecoderWorkspace workspace;
    std::int32_t next = 0;
    decoder.prefill({&input, 1}, workspace, {&next, 1});
    result.logits.resize(static_cast<std::size_t>(config.text.vocab));
    backend->download(workspace.logits.view(), result.logits.data());
    return result;
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(cache_.path())) found.push_back(entry.path());
    return found;
  }

  testing::TempDir model_, cache_;
};

TEST_F(PackedCacheTest, SameBitsWithoutCacheWritingItAndFromIt) {
  for (WeightFormat format : {WeightFormat::kF32, WeightFormat::kBf16, WeightFormat::kQ8, WeightFormat::kQ4}) {
    const Result packed = load_and_run({}, format);
    const Result written = load_and_run(cache_.path(), format), mapped = load_and_run(cache_.path(), format);
    EXPECT_FALSE(written.was_hit);
    EXPECT_TRUE(mapped.was_hit);
    EXPECT_EQ(written.logits, packed.logits);
    EXPECT_EQ(mapped.logits, packed.logits);
    EXPECT_THAT(mapped.warnings, IsEmpty());
  }
  EXPECT_EQ(files().size(), 4U);  // one for each format
}

TEST_F(PackedCacheTest, AutoIsTheFormatItStandsFor) {
  load_and_run(cache_.path(), WeightFormat::kAuto);
  EXPECT_TRUE(load_and_run(cache_.path(), WeightFormat::kQ8).was_hit);
}

TEST_F(PackedCacheTest, DamageIsReportedAndRepaired) {
  const Result packed = load_and_run(cache_.path());
  ASSERT_EQ(files().size(), 1U);
  {
    std::fstream file(files()[0], std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(10000);
    file.put('\x5a');
    file.put('\xa5');
  }
  const Result repaired = load_and_run(cache_.path());
  EXPECT_FALSE(repaired.was_hit);
  EXPECT_THAT(repaired.warnings, ElementsAre(HasSubstr("is damaged")));
  EXPECT_EQ(repaired.logits, packed.logits);
  EXPECT_TRUE(load_and_run(cache_.path()).was_hit);
}

TEST_F(PackedCacheTest, AChangedCheckpointIsPackedAnew) {
  const Result before = load_and_run(cache_.path());
  const fs::path shard = model_.path() / "model.safetensors";
  fs::last_write_time(shard, fs::last_write_time(shard) + std::chrono::seconds(1));
  const Result after = load_and_run(cache_.path());
  EXPECT_FALSE(after.was_hit);
  EXPECT_EQ(after.logits, before.logits);
  EXPECT_EQ(files().size(), 2U);
}

TEST_F(PackedCacheTest, AnUnusableDirectoryIsAWarning) {
  cache_.write("file", "in the way");
  const Result result = load_and_run(cache_.path() / "file" / "sub");
  EXPECT_THAT(result.warnings, ElementsAre(HasSubstr("packed weights are not kept")));
  EXPECT_EQ(result.logits, load_and_run({}).logits);
}

TEST_F(PackedCacheTest, FilesInMemoryAndBackendsWithoutALayoutHaveNoCache) {
  const CheckpointFiles mapped = CheckpointFiles::open_directory(model_.path());
  const CheckpointFiles in_memory = synthetic_checkpoint(synthetic_model("tiny_b"));
  const ModelConfig config = parse_model_config(mapped);
  const auto cpu = make_cpu_backend(1, "generic"), reference = make_reference_backend();
  const auto open = [&](const CheckpointFiles& files, Backend& backend) {
    return open_packed_cache(cache_.path(), files, WeightStore(files, config), WeightFormat::kQ8, backend, {});
  };
  EXPECT_EQ(open(in_memory, *cpu), nullptr);
  EXPECT_EQ(open(mapped, *reference), nullptr);
  EXPECT_THAT(files(), IsEmpty());
  const auto cache = open(mapped, *cpu);
  ASSERT_NE(cache, nullptr);
  cache->finish(*cpu);
}

// Automatic weights are q8 and share its file; but not where matrices stay what they are stored as.
TEST_F(PackedCacheTest, AutomaticWeightsShareTheFileOfQ8UnlessMatricesStay) {
  const auto is_hit = [](const fs::path& model, const fs::path& cache_dir, WeightFormat format) {
    const CheckpointFiles files = CheckpointFiles::open(model);
    const ModelConfig config = parse_model_config(files);
    const WeightStore weights(files, config);
    std::unique_ptr<PackedCache> cache;
    const auto backend = make_cpu_backend(1, "generic");
    cache = open_packed_cache(cache_dir, files, weights, format, *backend, {});
    const TextDecoder decoder(config.text, config.audio_token_id, {weights, *backend, format});
    cache->finish(*backend);
    return cache->is_hit();
  };
  const testing::TempDir plain, stored;
  EXPECT_FALSE(is_hit(model_.path(), plain.path(), WeightFormat::kQ8));
  EXPECT_TRUE(is_hit(model_.path(), plain.path(), WeightFormat::kAuto));
  const fs::path mlx = fs::path(QASR_SOURCE_DIR) / "tests/data/formats/mlx4";
  EXPECT_FALSE(is_hit(mlx, stored.path(), WeightFormat::kQ8));
  EXPECT_FALSE(is_hit(mlx, stored.path(), WeightFormat::kAuto));
  EXPECT_TRUE(is_hit(mlx, stored.path(), WeightFormat::kAuto));
}

}  // namespace
}  // namespace qasr
