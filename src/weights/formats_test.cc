// Checkpoints in every form, written by the official packages (tools/make_format_fixtures.py): every tensor must have,
// bit for bit, the values that the package which wrote it decodes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "support/crc32.h"
#include "support/format_fixtures.h"
#include "tensor/stored_blocks.h"
#include "tensor/widen.h"
#include "weights/checkpoint_key.h"
#include "weights/gguf.h"
#include "weights/safetensors.h"
#include "weights/synthetic_checkpoint.h"
#include "weights/test_files.h"
#include "weights/weight_store.h"

namespace qasr {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::model_error;
using testing::TempDir;

namespace fs = std::filesystem;

nlohmann::json expected_values(const std::string& name) {
  std::ifstream stream(format_fixture("expected.json"));
  return nlohmann::json::parse(stream).at("crc32").at(name);
}

std::uint32_t crc_of(const HostTensor& tensor) {
  std::vector<float> values(static_cast<std::size_t>(tensor.shape.elements()));
  widen_to_f32(tensor, values);
  return testing::crc32(std::as_bytes(std::span(values)));
}

struct Form {
  const char* name;
  const char* names;  // scheme
  bool is_gguf;
};
constexpr Form kForms[] = {{"mlx4", "bare", false},
                           {"mlx_mixed", "official", false},
                           {"transformers", "transformers", false},
                           {"llama_q8_0", "llama.cpp", true},
                           {"crisp.gguf", "CrispASR", true},
                           {"qwen3-asr-cpp.gguf", "qwen3-asr.cpp", true},
                           {"transcribe-cpp.gguf", "transcribe.cpp", true}};

class Forms : public ::testing::TestWithParam<Form> {};

TEST_P(Forms, EveryTensorHasTheValuesOfItsWriter) {
  const CheckpointFiles files = CheckpointFiles::open(format_fixture(GetParam().name));
  const ModelConfig config = parse_model_config(files);
  const ModelConfig original = synthetic_model("tiny_q").config;
  EXPECT_EQ(config.audio, original.audio);
  EXPECT_EQ(config.text, original.text);
  EXPECT_EQ(config.audio_token_id, original.audio_token_id);
  EXPECT_EQ(config.eos_token_ids, original.eos_token_ids);
  const WeightStore store(files, config);
  EXPECT_EQ(name_layout_text(store.name_layout()), GetParam().names);
  EXPECT_EQ(store.is_gguf(), GetParam().is_gguf);
  const nlohmann::json expected = expected_values(GetParam().name);
  EXPECT_EQ(store.all().size(), expected.size());
  for (const HostTensor& tensor : store.all()) EXPECT_EQ(crc_of(tensor), expected.at(tensor.name)) << tensor.name;
}

INSTANTIATE_TEST_SUITE_P(All, Forms, ::testing::ValuesIn(kForms), [](const auto& test) {
  std::string name = test.param.name;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '-' || c == '.'; }, '_');
  return name;
});

TEST(Formats, TransformersOwnConverterWritesTheSameBytes) {
  const CheckpointFiles files = CheckpointFiles::open(format_fixture("transformers"));
  const CheckpointFiles original = synthetic_checkpoint(synthetic_model("tiny_q"));
  const WeightStore store(files, parse_model_config(files)), expected(original, parse_model_config(original));
  EXPECT_EQ(store.n_shards(), 2);
  for (const HostTensor& tensor : expected.all()) {
    const auto found = store.tensor(tensor.name).bytes;
    EXPECT_TRUE(std::equal(found.begin(), found.end(), tensor.bytes.begin(), tensor.bytes.end())) << tensor.name;
  }
}

TEST(Formats, EveryBlockTypeOfGguf) {
  const MappedFile file(format_fixture("blocks.gguf"));
  const nlohmann::json expected = expected_values("blocks.gguf");
  const GgufFile gguf(file.bytes(), "blocks.gguf");
  EXPECT_EQ(gguf.tensors().size(), 14u);
  for (const StoredTensor& stored : gguf.tensors()) {
    const HostTensor tensor{.name = stored.name,
                            .dtype = *stored.dtype,
                            .shape = {stored.dims[0], stored.dims[1]},
                            .bytes = stored.bytes,
                            .encoding = stored.encoding};
    EXPECT_EQ(encoded_bytes(tensor), stored.bytes.size());
    EXPECT_EQ(crc_of(tensor), expected.at(stored.name)) << stored.name;
  }
}

TEST(Formats, EveryWidthAndGroupOfMlx) {
  const MappedFile file(format_fixture("affine.safetensors"));
  std::map<std::string, StoredTensor> tensors;
  for (StoredTensor& tensor : read_safetensors(file.bytes(), "affine")) tensors.emplace(tensor.name, tensor);
  const nlohmann::json expected = expected_values("affine.safetensors");
  for (const auto& [name, crc] : expected.items()) {
    const std::string stem = name.substr(0, name.size() - std::string("weight").size());
    const StoredTensor &q = tensors.at(name), &scales = tensors.at(stem + "scales");
    HostTensor tensor{.name = name, .shape = {2, 256}, .bytes = q.bytes, .encoding = Encoding::kMlxAffine};
    tensor.affine = {.bits = static_cast<int>(q.dims[1] * 32 / 256),
                     .group_size = 256 / scales.dims[1],
                     .dtype = *scales.dtype,
                     .scales = scales.bytes,
                     .biases = tensors.at(stem + "biases").bytes};
    EXPECT_EQ(crc_of(tensor), crc) << name;
  }
}

TEST(Formats, IsToldByContentNotByName) {
  const TempDir dir;
  fs::copy_file(format_fixture("crisp.gguf"), dir.path() / "weights");
  const CheckpointFiles files = CheckpointFiles::open(dir.path());
  EXPECT_TRUE(WeightStore(files, parse_model_config(files)).is_gguf());
  const TempDir other;
  fs::copy_file(format_fixture("mlx4/config.json"), other.path() / "config.json");
  fs::copy_file(format_fixture("mlx4/model.safetensors"), other.path() / "0123abcd");
  const CheckpointFiles blobs = CheckpointFiles::open(other.path());
  EXPECT_EQ(WeightStore(blobs, parse_model_config(blobs)).n_shards(), 1);
}

TEST(Formats, OneFileNamesItsCheckpoint) {
  for (const char* name : {"llama_q8_0/text.gguf", "llama_q8_0/mmproj.gguf", "mlx4/model.safetensors",
                           "transformers/model-00002-of-00002.safetensors"}) {
    const CheckpointFiles files = CheckpointFiles::open(format_fixture(name));
    EXPECT_EQ(WeightStore(files, parse_model_config(files)).all().size(), 43u - 1) << name;
  }
}

TEST(Formats, IncompleteAndAmbiguousGgufPairsAreRefused) {
  const TempDir dir;
  fs::copy_file(format_fixture("llama_q8_0/text.gguf"), dir.path() / "text.gguf");
  const auto error = [&](const fs::path& path) { return model_error([&] { CheckpointFiles::open(path); }); };
  EXPECT_THAT(error(dir.path()), AllOf(HasSubstr("no GGUF file with the audio encoder"), HasSubstr("mmproj")));
  fs::copy_file(format_fixture("llama_q8_0/mmproj.gguf"), dir.path() / "a.gguf");
  fs::copy_file(format_fixture("llama_q8_0/mmproj.gguf"), dir.path() / "b.gguf");
  EXPECT_THAT(error(dir.path() / "text.gguf"), AllOf(HasSubstr("several"), HasSubstr("a.gguf, b.gguf")));
  EXPECT_EQ(CheckpointFiles::open(format_fixture("crisp.gguf")).all().size(), 6u);  // the file, and five made from it
  EXPECT_THAT(error(format_fixture("blocks.gguf")), AllOf(HasSubstr("architecture \"blocks\""), HasSubstr("known name")));
}

TEST(Formats, UnsupportedFilesAreNamed) {
  const TempDir dir;
  dir.write("config.json", "{}");
  dir.write("pytorch_model.bin", std::string("PK\3\4 and so on", 14));
  const CheckpointFiles files = CheckpointFiles::open(dir.path());
  EXPECT_THAT(
      model_error([&] { WeightStore(files, {}); }),
      AllOf(HasSubstr("no *.safetensors or GGUF file found"), HasSubstr("pytorch_model.bin"), HasSubstr("convert")));
  EXPECT_THAT(model_error([&] { CheckpointFiles::open(dir.path() / "pytorch_model.bin"); }), HasSubstr("PyTorch"));
  const std::pair<const char*, const char*> others[] = {
      {"FUGG", "big-endian GGUF"}, {"tjgg", "old ggjt"}, {"\x89HDF", "HDF5"}, {"\x93NUMPY", "NumPy"}};
  for (const auto& [magic, description] : others) {
    dir.write("model.bin", std::string(magic) + " and so on");
    EXPECT_THAT(model_error([&] { CheckpointFiles::open(dir.path() / "model.bin"); }), HasSubstr(description));
  }
  fs::create_symlink(dir.path() / "loop", dir.path() / "loop");
  EXPECT_THAT(model_error([&] { CheckpointFiles::open(dir.path() / "loop"); }), HasSubstr("symbolic links"));
}

// The header of mlx4's weights, edited.
std::string mlx_error(const std::function<void(nlohmann::json&)>& edit) {
  const CheckpointFiles files = CheckpointFiles::open(format_fixture("mlx4"));
  const CheckpointFiles edited = testing::with_header(files, "model.safetensors", edit);
  return model_error([&] { WeightStore(edited, parse_model_config(edited)); });
}

TEST(Formats, BrokenMlxMatricesAreRefusedByName) {
  const std::string stem = "model.layers.0.mlp.up_proj.";
  const auto rename = [&](const char* part) {
    return mlx_error([&](nlohmann::json& header) {
      header["unused." + std::string(part)] = header[stem + part];
      header.erase(stem + part);
    });
  };
  EXPECT_THAT(rename("scales"), AllOf(HasSubstr(stem + "weight"), HasSubstr("has no " + stem + "scales")));
  EXPECT_THAT(rename("biases"), AllOf(HasSubstr("no " + stem + "biases"), HasSubstr("mxfp4")));
  EXPECT_THAT(rename("weight"), AllOf(HasSubstr("unused.weight"), HasSubstr("no unused.scales")));
  const auto reshape = [&](const char* part, std::vector<int> dims) {
    return mlx_error([&](nlohmann::json& header) { header[stem + part]["shape"] = dims; });
  };
  EXPECT_THAT(reshape("weight", {32, 16}), AllOf(HasSubstr("[32, 16]"), HasSubstr("64 * bits / 32")));
  EXPECT_THAT(reshape("scales", {1, 64}), AllOf(HasSubstr(stem + "scales"), HasSubstr("[1, 64]")));
  EXPECT_THAT(mlx_error([&](nlohmann::json& header) { header[stem + "scales"]["dtype"] = "I16"; }), HasSubstr("I16"));
}

TEST(Formats, KeysOfTheCacheSeeScalesAndMetadata) {
  const TempDir dir;
  fs::copy(format_fixture("mlx4"), dir.path(), fs::copy_options::recursive);
  const auto key = [&] {
    const CheckpointFiles files = CheckpointFiles::open(dir.path());
    return checkpoint_key(files, WeightStore(files, parse_model_config(files)));
  };
  const std::string before = key();
  std::string text;
  {
    std::ifstream in(dir.path() / "model.safetensors", std::ios::binary);
    text.assign(std::istreambuf_iterator<char>(in), {});
  }
  const CheckpointFiles files = CheckpointFiles::open(dir.path());
  const WeightStore store(files, parse_model_config(files));
  const auto& scales = store.tensor("model.embed_tokens.weight").affine.scales;
  text[static_cast<std::size_t>(scales.data() - files.require("model.safetensors").bytes.data())] ^= 1;
  const auto time = fs::last_write_time(dir.path() / "model.safetensors");
  fs::remove(dir.path() / "model.safetensors");
  dir.write("model.safetensors", text);
  fs::last_write_time(dir.path() / "model.safetensors", time);
  EXPECT_NE(key(), before);
}

}  // namespace
}  // namespace qasr
