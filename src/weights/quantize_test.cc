// quantize_checkpoint: what is written reads back within the format's error, from every form, complete or not at all.
#include "qasr/quantize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "support/crc32.h"
#include "support/format_fixtures.h"
#include "tensor/widen.h"
#include "weights/synthetic_checkpoint.h"
#include "weights/test_files.h"
#include "weights/weight_store.h"

namespace qasr {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::TempDir;

const QuantizedClass& find_class(const QuantizeReport& report, const std::string& name) {
  for (const QuantizedClass& entry : report.classes) {
    if (entry.name == name) return entry;
  }
  throw std::runtime_error("no class " + name);
}

TEST(Quantize, FromEveryFormToEveryWidth) {
  for (const char* source : {"transformers", "llama_q8_0", "mlx_mixed"}) {
    for (int bits : {4, 8}) {
      const TempDir dir;
      const fs::path out = dir.path() / "new" / "model";
      const QuantizeReport report =
          quantize_checkpoint(format_fixture(source), out, {.decoder_bits = bits, .group_size = 32, .n_threads = 2});
      const CheckpointFiles files = CheckpointFiles::open(out), original = CheckpointFiles::open(format_fixture(source));
      const ModelConfig config = parse_model_config(files);
      EXPECT_EQ(config.text, synthetic_model("tiny_q").config.text);
      const WeightStore store(files, config), expected(original, parse_model_config(original));
      EXPECT_EQ(store.name_layout(), NameLayout::kBare);
      EXPECT_EQ(store.all().size(), expected.all().size());
      EXPECT_EQ(store.tensor("model.layers.0.mlp.up_proj.weight").affine.bits, bits);
      EXPECT_EQ(store.tensor("model.embed_tokens.weight").affine.bits, 8);
      EXPECT_EQ(store.tensor("audio_tower.layers.0.fc1.weight").affine.bits, 8);
      EXPECT_TRUE(store.tensor("audio_tower.conv2d2.weight").channels_last);
      EXPECT_LT(find_class(report, "decoder feed-forward").relative_error, bits == 4 ? 0.1 : 0.006) << source;
      EXPECT_LT(find_class(report, "encoder attention").relative_error, 0.006);
      EXPECT_LT(find_class(report, "encoder convolutions").relative_error, 1e-3);
      EXPECT_EQ(report.bytes, fs::file_size(out / "model.safetensors"));
      EXPECT_FALSE(fs::exists(dir.path() / "new" / "model.partial"));
    }
  }
}

TEST(Quantize,
     LosesNothingTwice) {  // 4 bits of 4 bits, in the same groups, are the same integers up to a rounded scale
  const TempDir dir;
  const QuantizeReport report = quantize_checkpoint(format_fixture("mlx4"), dir.path() / "out", {.decoder_bits = 4});
  EXPECT_LT(find_class(report, "decoder feed-forward").relative_error, 0.01);
}

TEST(Quantize, RefusesOptionsAndDirectoriesBeforeWriting) {
  const TempDir dir;
  const auto error = [&](const fs::path& model, const fs::path& out, QuantizeOptions options) {
    try {
      quantize_checkpoint(model, out, options);
    } catch (const Error& caught) {
      return std::string(caught.what());
    }
    return std::string();
  };
  EXPECT_THAT(error(format_fixture("mlx4"), dir.path() / "a", {.decoder_bits = 5}), HasSubstr("decoder bits 5"));
  EXPECT_THAT(error(format_fixture("mlx4"), dir.path() / "a", {.group_size = 48}), HasSubstr("group size 48"));
  dir.write("file", "x");
  EXPECT_THAT(error(format_fixture("mlx4"), dir.path(), {}), HasSubstr("not an empty directory"));
  EXPECT_THAT(error(dir.path() / "none", dir.path() / "a", {}), HasSubstr("No such file"));
  EXPECT_EQ(std::distance(fs::directory_iterator(dir.path()), {}), 1);  // the file
}

TEST(Quantize, AFailureLeavesNothing) {
  const TempDir dir;
  // Weights that are no numbers cannot be written as meant.
  const CheckpointFiles files = CheckpointFiles::open(format_fixture("transformers"));
  for (const CheckpointFile& file : files.all()) {
    std::string text(file.text());
    if (file.name == "model-00001-of-00002.safetensors") std::fill(text.end() - 64, text.end(), '\xff');
    std::ofstream(dir.path() / file.name, std::ios::binary) << text;
  }
  EXPECT_THROW(quantize_checkpoint(dir.path(), dir.path() / "out", {}), Error);
  EXPECT_FALSE(fs::exists(dir.path() / "out"));
  EXPECT_FALSE(fs::exists(dir.path() / "out.partial"));
}

// What MLX reads from such a file: tools/check_mlx.py wrote the values' CRC-32 of a checkpoint quantised by this code.
TEST(Quantize, MlxReadsTheSameValues) {
  std::ifstream stream(format_fixture("quantized_by_qasr.json"));
  const nlohmann::json document = nlohmann::json::parse(stream);
  const TempDir dir;
  quantize_checkpoint(format_fixture("transformers"), dir.path() / "out", {.decoder_bits = 4});
  const CheckpointFiles files = CheckpointFiles::open(dir.path() / "out");
  const WeightStore store(files, parse_model_config(files));
  EXPECT_EQ(document.at("crc32").size(), store.all().size());
  for (const HostTensor& tensor : store.all()) {
    std::vector<float> values(static_cast<std::size_t>(tensor.shape.elements()));
    widen_to_f32(tensor, values);
    EXPECT_EQ(testing::crc32(std::as_bytes(std::span(values))), document.at("crc32").at(tensor.name)) << tensor.name;
  }
}

}  // namespace
}  // namespace qasr
