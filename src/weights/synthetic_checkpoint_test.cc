// Whole synthetic checkpoints: in memory and on disk they are the same bytes, and `describe` reports their true sizes.
#include "weights/synthetic_checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tensor/widen.h"
#include "weights/describe.h"
#include "weights/test_files.h"
#include "weights/weight_store.h"

namespace qasr {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TempDir;

TEST(SyntheticCheckpoint, DiskAndMemoryHoldTheSameBytes) {
  for (const int n_shards : {1, 4}) {
    const SyntheticOptions options = {.dtype = DType::kF16, .n_shards = n_shards, .seed = 9};
    const CheckpointFiles memory = synthetic_checkpoint(synthetic_model("tiny_a"), options);
    const TempDir dir;
    write_synthetic_checkpoint(dir.path() / "new" / "folder", synthetic_model("tiny_a"), options);
    const CheckpointFiles disk = CheckpointFiles::open_directory(dir.path() / "new" / "folder");
    ASSERT_EQ(disk.all().size(), memory.all().size());
    for (const CheckpointFile& file : disk.all())
      EXPECT_TRUE(file.text() == memory.require(file.name).text()) << file.name;
  }
}

TEST(SyntheticCheckpoint, DoesNotDependOnTheNumberOfThreads) {
  // tiny_d's embedding alone is smaller than a block, so a larger model is needed to cut tensors.
  SyntheticModel model = synthetic_model("tiny_a");
  model.config.text.vocab = 40000;
  const CheckpointFiles one = synthetic_checkpoint(model, {.n_threads = 1});
  const CheckpointFiles many = synthetic_checkpoint(model, {.n_threads = 7});
  EXPECT_TRUE(one.require("model.safetensors").text() == many.require("model.safetensors").text());
}

TEST(SyntheticCheckpoint, EveryTensorFollowsItsOfficialNameInEveryLayout) {
  const SyntheticModel model = synthetic_model("tiny_b");
  const CheckpointFiles files = synthetic_checkpoint(model, {.dtype = DType::kF32,
                                                             .config_layout = CheckpointLayout::kTransformers,
                                                             .names = NameLayout::kTransformers,
                                                             .seed = 4});
  const WeightStore store(files, parse_model_config(files));
  for (const HostTensor& tensor : store.all()) {
    std::vector<float> stored(static_cast<std::size_t>(tensor.shape.elements())), expected(stored.size());
    widen_to_f32(tensor, stored);
    SyntheticTensor(SyntheticRule::kHash, "thinker." + tensor.name, tensor.shape, 4).fill(0, std::span(expected));
    EXPECT_EQ(stored, expected) << tensor.name;
  }
}

TEST(SyntheticCheckpoint, MiniatureLoads) {
  const CheckpointFiles files = synthetic_checkpoint(synthetic_model("miniature"), {.dtype = DType::kF32});
  const WeightStore store(files, parse_model_config(files));
  float first = 0;
  widen_to_f32(store.tensor("audio_tower.conv2d1.weight"), std::span(&first, 1));
  EXPECT_NEAR(first, 0.09871441, 5e-9);
}

TEST(SyntheticCheckpoint, CopiesATokenizer) {
  const TempDir tokenizer, dir;
  tokenizer.write("vocab.json", "{\"a\": 0}");
  tokenizer.write("merges.txt", "#version: 0.2\n");
  tokenizer.write("README.md", "not a tokenizer file");
  write_synthetic_checkpoint(dir.path(), synthetic_model("tiny_c"), {.tokenizer_dir = tokenizer.path()});
  EXPECT_EQ(CheckpointFiles::open_directory(dir.path()).require("vocab.json").text(), "{\"a\": 0}");
  EXPECT_TRUE(std::filesystem::exists(dir.path() / "merges.txt"));
  EXPECT_FALSE(std::filesystem::exists(dir.path() / "README.md"));
}

TEST(SyntheticCheckpoint, BadOptionsAreErrors) {
  const SyntheticModel model = synthetic_model("tiny_c");
  const auto error_of = [&](const SyntheticOptions& options) -> std::string {
    const TempDir dir;
    try {
      write_synthetic_checkpoint(dir.path(), model, options);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(error_of({.dtype = DType::kI8}), HasSubstr("dtype i8, expected bf16, f16 or f32"));
  EXPECT_THAT(error_of({.n_shards = 0}), HasSubstr("0 shards, expected 1 to"));
  EXPECT_THAT(error_of({.n_shards = 1000}), HasSubstr("1000 shards, expected 1 to 53"));
  EXPECT_THAT(error_of({.tokenizer_dir = "/nonexistent"}), HasSubstr("no tokenizer in /nonexistent"));
  const TempDir dir;
  dir.write("file", "");
  EXPECT_THROW(write_synthetic_checkpoint(dir.path() / "file", model), Error);
}

TEST(Describe, ReportsSizesCountsAndTypes) {
  const CheckpointFiles files = synthetic_checkpoint(synthetic_model("tiny_a"), {.n_shards = 2});
  const ModelConfig config = parse_model_config(files);
  const WeightStore store(files, config);
  const ModelInfo info = describe_checkpoint(files, config, store);
  EXPECT_EQ(info.path, "synthetic:tiny_a");
  EXPECT_EQ(info.layout, "official");
  EXPECT_EQ(info.dtype, "bf16");
  std::uint64_t elements = 0, file_bytes = 0;
  for (const HostTensor& tensor : store.all()) elements += static_cast<std::uint64_t>(tensor.shape.elements());
  for (const CheckpointFile& file : files.all())
    file_bytes += file.name.ends_with(".safetensors") ? file.bytes.size() : 0;
  EXPECT_EQ(info.n_parameters, elements);
  EXPECT_EQ(info.n_parameters, info.n_encoder_parameters + info.n_decoder_parameters + info.n_embedding_parameters);
  EXPECT_EQ(info.n_embedding_parameters, 1543u * 40u);
  EXPECT_EQ(info.file_bytes, file_bytes);
  EXPECT_EQ(info.kv_cache_bytes_per_token, 2u * 3u * 2u * 16u * 2u);
  EXPECT_EQ(info.n_tensors, 13 + 16 * 2 + 2 + 11 * 3);
  EXPECT_EQ(info.n_shards, 2);
  EXPECT_EQ(info.d_model, 48);
  EXPECT_EQ(info.encoder_layers, 2);
  EXPECT_EQ(info.hidden, 40);
  EXPECT_EQ(info.decoder_layers, 3);
  EXPECT_EQ(info.vocab, 1543);
  EXPECT_TRUE(info.tied_head);
  EXPECT_FALSE(info.is_demo);
  EXPECT_THAT(info.eos_token_ids, ElementsAre(1528, 1530));
}

TEST(Describe, KvCacheOfThe600MModelIs114688BytesPerToken) {
  ModelConfig config = synthetic_model("tiny_a").config;
  const CheckpointFiles files = synthetic_checkpoint(synthetic_model("tiny_a"));
  const WeightStore store(files, config);
  config.text.n_layers = 28;
  config.text.n_kv_heads = 8;
  config.text.head_dim = 128;
  EXPECT_EQ(describe_checkpoint(files, config, store).kv_cache_bytes_per_token, 114688u);
}

TEST(Describe, NamesTheLayoutOfTheTensorsAndMixedTypes) {
  const CheckpointFiles whole =
      synthetic_checkpoint(synthetic_model("tiny_c"), {.names = NameLayout::kTransformers, .n_shards = 2});
  const CheckpointFiles wide = synthetic_checkpoint(
      synthetic_model("tiny_c"), {.dtype = DType::kF32, .names = NameLayout::kTransformers, .n_shards = 2});
  const std::string second = "model-00002-of-00002.safetensors";
  const CheckpointFiles mixed = testing::with_file(whole, second, std::string(wide.require(second).text()));
  const ModelConfig config = parse_model_config(mixed);
  const ModelInfo info = describe_checkpoint(mixed, config, WeightStore(mixed, config));
  EXPECT_EQ(info.layout, "transformers");
  EXPECT_EQ(info.dtype, "mixed");
}

}  // namespace
}  // namespace qasr
