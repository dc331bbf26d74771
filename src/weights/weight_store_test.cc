// WeightStore: every layout leads to the same tensors, and every mismatch with the configuration is refused by name.
#include "weights/weight_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "weights/safetensors.h"
#include "weights/synthetic_checkpoint.h"
#include "weights/test_files.h"

namespace qasr {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::model_error;
using testing::with_file;
using testing::with_header;
using testing::with_json;

constexpr const char* kWeights = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";
constexpr const char* kEmbedding = "thinker.model.embed_tokens.weight";

CheckpointFiles tiny(const SyntheticOptions& options = {}, const char* model = "tiny_c") {
  return synthetic_checkpoint(synthetic_model(model), options);
}

WeightStore load(const CheckpointFiles& files) { return WeightStore(files, parse_model_config(files)); }

std::string load_error(const CheckpointFiles& files) {
  return model_error([&] { load(files); });
}

// The error after an edit of the header of tiny_c's only shard.
std::string header_error(const std::function<void(json&)>& edit) {
  return load_error(with_header(tiny(), kWeights, edit));
}

void expect_same_tensors(const WeightStore& actual, const WeightStore& expected) {
  ASSERT_EQ(actual.all().size(), expected.all().size());
  for (std::size_t i = 0; i < expected.all().size(); ++i) {
    const HostTensor &found = actual.all()[i], &wanted = expected.all()[i];
    EXPECT_EQ(found.name, wanted.name);
    EXPECT_EQ(found.shape, wanted.shape);
    EXPECT_TRUE(std::equal(found.bytes.begin(), found.bytes.end(), wanted.bytes.begin(), wanted.bytes.end()))
        << found.name;
  }
}

// Adds a tensor of zeros to the shard's end.
CheckpointFiles with_extra_tensor(const CheckpointFiles& files, const std::string& name,
                                  std::vector<std::int64_t> dims) {
  std::size_t n_bytes = 2;
  for (std::int64_t dim : dims) n_bytes *= static_cast<std::size_t>(dim);
  std::size_t end = 0;
  const CheckpointFiles edited = with_header(files, kWeights, [&](json& header) {
    for (const auto& [key, value] : header.items()) {
      if (key != "__metadata__") end = std::max(end, value["data_offsets"][1].get<std::size_t>());
    }
    header[name] = {{"dtype", "BF16"}, {"shape", dims}, {"data_offsets", {end, end + n_bytes}}};
  });
  return with_file(edited, kWeights, std::string(edited.require(kWeights).text()) + std::string(n_bytes, '\0'));
}

TEST(WeightStore, HoldsTheExpectedTensorsUnderCanonicalNames) {
  const CheckpointFiles files = tiny();
  const WeightStore store = load(files);
  const std::vector<ExpectedTensor> expected = expected_tensors(synthetic_model("tiny_c").config);
  ASSERT_EQ(store.all().size(), expected.size() - 1);  // the tied head is absent
  for (std::size_t i = 0; i < store.all().size(); ++i) {
    EXPECT_EQ(store.all()[i].name, expected[i].name);
    EXPECT_EQ(store.all()[i].shape, expected[i].shape);
    EXPECT_EQ(&store.tensor(expected[i].name), &store.all()[i]);
  }
  EXPECT_FALSE(store.contains("lm_head.weight"));
  EXPECT_THROW(store.tensor("no.such.tensor"), Error);
  EXPECT_EQ(store.n_shards(), 1);
  EXPECT_EQ(store.n_stored(), static_cast<int>(expected.size()) - 1);
  EXPECT_EQ(store.shard_bytes(), files.require(kWeights).bytes.size());
}

TEST(WeightStore, LayoutOfNamesLayoutOfConfigAndShardsDoNotMatter) {
  const CheckpointFiles reference_files = tiny();
  const WeightStore reference = load(reference_files);
  for (const CheckpointLayout layout : {CheckpointLayout::kOfficial, CheckpointLayout::kTransformers}) {
    for (const NameLayout names : {NameLayout::kOfficial, NameLayout::kTransformers, NameLayout::kBare}) {
      for (const int n_shards : {1, 2, 5}) {
        const CheckpointFiles files = tiny({.config_layout = layout, .names = names, .n_shards = n_shards});
        const WeightStore store = load(files);
        expect_same_tensors(store, reference);
        EXPECT_EQ(store.name_layout(), names);
        EXPECT_EQ(store.n_shards(), n_shards);
      }
    }
  }
}

TEST(WeightStore, ShardsWithoutAnIndexAreUnited) {
  const CheckpointFiles whole = tiny(), shards = with_file(tiny({.n_shards = 3}), kIndex, {});
  expect_same_tensors(load(shards), load(whole));
}

TEST(WeightStore, FilesTheIndexDoesNotNameAreIgnored) {
  const CheckpointFiles files = with_file(tiny({.n_shards = 2}), "consolidated.safetensors", "not read");
  EXPECT_EQ(load(files).n_shards(), 2);
}

TEST(WeightStore, AllFloatTypesAreTaken) {
  for (const DType dtype : {DType::kBf16, DType::kF16, DType::kF32}) {
    const CheckpointFiles files = tiny({.dtype = dtype});
    EXPECT_EQ(load(files).all().front().dtype, dtype);
  }
}

TEST(WeightStore, StoredTiedHeadIsCheckedAndIgnored) {
  const CheckpointFiles files = with_extra_tensor(tiny(), "thinker.lm_head.weight", {1537, 24});
  const WeightStore store = load(files);
  EXPECT_FALSE(store.contains("lm_head.weight"));
  EXPECT_EQ(store.n_stored(), static_cast<int>(store.all().size()) + 1);
  EXPECT_THAT(
      load_error(with_extra_tensor(tiny(), "thinker.lm_head.weight", {1536, 24})),
      HasSubstr(
          "thinker.lm_head.weight has shape [1536, 24], expected [1537, 24], in synthetic:tiny_c/model.safetensors: "
          "the vocabulary does not match the head, which has 1536 rows, config.json has vocab_size 1537"));
}

TEST(WeightStore, UntiedHeadIsRequired) {
  const auto untie = [](json& config) { config["thinker_config"]["text_config"]["tie_word_embeddings"] = false; };
  EXPECT_THAT(load_error(with_json(tiny(), "config.json", untie)), HasSubstr("1 tensor missing (lm_head.weight)"));
  const CheckpointFiles files =
      with_json(with_extra_tensor(tiny(), "thinker.lm_head.weight", {1537, 24}), "config.json", untie);
  EXPECT_TRUE(load(files).contains("lm_head.weight"));
}

TEST(WeightStore, ForcedAlignerHasAHeadOfItsClasses) {
  SyntheticModel model = synthetic_model("tiny_c");
  model.config.is_forced_aligner = true;
  model.config.n_classes = 50;
  model.config.text.tied_head = false;
  for (const NameLayout names : {NameLayout::kOfficial, NameLayout::kTransformers}) {
    const bool is_official = names == NameLayout::kOfficial;
    const CheckpointFiles files = synthetic_checkpoint(
        model,
        {.config_layout = is_official ? CheckpointLayout::kOfficial : CheckpointLayout::kTransformers, .names = names});
    EXPECT_EQ(load(files).tensor("lm_head.weight").shape, (Shape{50, 24}));
  }
  const CheckpointFiles files = with_json(synthetic_checkpoint(model), "config.json",
                                          [](json& config) { config["thinker_config"]["classify_num"] = 60; });
  EXPECT_THAT(load_error(files), HasSubstr("the head has 50 rows, config.json has 60 classes"));
}

TEST(WeightStore, MissingAndUnknownTensorsAreListed) {
  const auto rename = [](json& header) {
    header["thinker.audio_tower.ln_post.extra"] = header["thinker.audio_tower.ln_post.bias"];
    header.erase("thinker.audio_tower.ln_post.bias");
  };
  EXPECT_THAT(header_error(rename),
              AllOf(HasSubstr("1 tensor missing (audio_tower.ln_post.bias)"),
                    HasSubstr("1 tensor unknown (thinker.audio_tower.ln_post.extra)"), HasSubstr("synthetic:tiny_c")));
  const CheckpointFiles more_layers = with_json(
      tiny(), "config.json", [](json& config) { config["thinker_config"]["text_config"]["num_hidden_layers"] = 3; });
  EXPECT_THAT(load_error(more_layers),
              AllOf(HasSubstr("11 tensors missing (model.layers.2.input_layernorm.weight, "), HasSubstr(", ...)")));
  const CheckpointFiles fewer_layers = with_json(
      tiny(), "config.json", [](json& config) { config["thinker_config"]["text_config"]["num_hidden_layers"] = 1; });
  EXPECT_THAT(load_error(fewer_layers),
              HasSubstr("11 tensors unknown (thinker.model.layers.1.input_layernorm.weight, "));
}

TEST(WeightStore, DuplicateTensorsAcrossLayoutsAndShards) {
  EXPECT_THAT(load_error(with_extra_tensor(tiny(), "model.language_model.norm.weight", {24})),
              AllOf(HasSubstr("is a duplicate of"), HasSubstr("thinker.model.norm.weight")));
  const CheckpointFiles files = tiny();
  EXPECT_THAT(load_error(with_file(files, "copy.safetensors", std::string(files.require(kWeights).text()))),
              AllOf(HasSubstr("is a duplicate of"), HasSubstr("copy.safetensors")));
}

TEST(WeightStore, WrongShapes) {
  const CheckpointFiles vocabulary = with_json(
      tiny(), "config.json", [](json& config) { config["thinker_config"]["text_config"]["vocab_size"] = 1600; });
  EXPECT_THAT(load_error(vocabulary),
              AllOf(HasSubstr("thinker.model.embed_tokens.weight has shape [1537, 24], expected [1600, 24]"),
                    HasSubstr("the vocabulary does not match the embedding, which has 1537 rows")));
  EXPECT_THAT(header_error([](json& header) {
                header["thinker.audio_tower.conv2d2.weight"]["shape"] = {20, 3, 20, 3};
              }),
              HasSubstr("thinker.audio_tower.conv2d2.weight has shape [20, 3, 20, 3], expected [20, 20, 3, 3]"));
  EXPECT_THAT(
      header_error([](json& header) { header["thinker.audio_tower.ln_post.bias"]["shape"] = {1, 1, 1, 1, 1, 56}; }),
      HasSubstr("has shape [1, 1, 1, 1, 1, 56], expected [56]"));
  EXPECT_THAT(header_error([](json& header) {
                header[kEmbedding]["shape"] = {24, 1537};
              }),
              HasSubstr("has shape [24, 1537]"));
}

TEST(WeightStore, WrongTypes) {
  const auto set_type = [](const char* type) { return [type](json& header) { header[kEmbedding]["dtype"] = type; }; };
  EXPECT_THAT(header_error(set_type("I16")), HasSubstr("embed_tokens.weight has dtype I16, expected BF16, F16 or F32"));
  EXPECT_THAT(header_error(set_type("Q7")), HasSubstr("has dtype Q7"));
  EXPECT_THAT(header_error(set_type("F32")), HasSubstr("expected 147552 for F32 [1537, 24]"));
}

TEST(WeightStore, TruncatedShards) {
  const CheckpointFiles files = tiny({.n_shards = 2});
  const std::string name = "model-00002-of-00002.safetensors";
  const std::string_view text = files.require(name).text();
  for (const std::size_t size : {std::size_t{0}, std::size_t{5}, std::size_t{200}, text.size() / 2, text.size() - 1}) {
    EXPECT_THAT(load_error(with_file(files, name, std::string(text.substr(0, size)))), HasSubstr(name)) << size;
  }
}

TEST(WeightStore, IndexesThatLie) {
  const CheckpointFiles files = tiny({.n_shards = 2});
  const auto index_error = [&](const std::function<void(json&)>& edit) {
    return load_error(with_json(files, kIndex, edit));
  };
  EXPECT_THAT(
      index_error([](json& index) { index["weight_map"][kEmbedding] = "model-00003-of-00003.safetensors"; }),
      AllOf(HasSubstr("shard model-00003-of-00003.safetensors"), HasSubstr("not found"), HasSubstr(kEmbedding)));
  EXPECT_THAT(index_error([](json& index) { index["weight_map"][kEmbedding] = "../model.safetensors"; }),
              HasSubstr("is a path"));
  EXPECT_THAT(index_error([](json& index) {
                json& place = index["weight_map"]["thinker.audio_tower.conv2d1.weight"];
                ASSERT_EQ(place, "model-00001-of-00002.safetensors");
                place = "model-00002-of-00002.safetensors";
              }),
              HasSubstr("thinker.audio_tower.conv2d1.weight is in model-00001-of-00002.safetensors, expected in "
                        "model-00002-of-00002.safetensors"));
  EXPECT_THAT(
      index_error([](json& index) { index["weight_map"]["thinker.extra"] = "model-00001-of-00002.safetensors"; }),
      HasSubstr("tensor thinker.extra is missing, expected in model-00001"));
  EXPECT_THAT(index_error([](json& index) { index["weight_map"][kEmbedding] = 7; }), HasSubstr("expected a string"));
  EXPECT_THAT(index_error([](json& index) { index["weight_map"] = json::object(); }), HasSubstr("weight_map is empty"));
  EXPECT_THAT(index_error([](json& index) { index.erase("weight_map"); }), HasSubstr("weight_map is missing"));
  EXPECT_THAT(load_error(with_file(files, kIndex, "{")), HasSubstr("broken JSON"));
}

TEST(WeightStore, NoWeightsAtAll) {
  EXPECT_THAT(load_error(with_file(tiny(), kWeights, {})),
              HasSubstr("no *.safetensors or GGUF file found in synthetic:tiny_c"));
  EXPECT_THAT(load_error(with_file(tiny(), kWeights, "")), HasSubstr("0 bytes long"));
}

// Random damage to the header and the configuration of a whole checkpoint: an Error or a usable store.
TEST(WeightStore, DamagedCheckpointsNeverCrash) {
  const CheckpointFiles files = tiny();
  std::mt19937 random(20260702);
  int n_errors = 0;
  constexpr int kRounds = 1500;
  for (int round = 0; round < kRounds; ++round) {
    const char* name = round % 3 == 0 ? "config.json" : kWeights;
    std::string text(files.require(name).text());
    std::uint64_t header_size = 0;
    std::memcpy(&header_size, text.data(), 8);
    const std::size_t range = name == kWeights ? 8 + header_size : text.size();
    for (unsigned flips = 1 + random() % 3; flips > 0; --flips)
      text[random() % range] ^= static_cast<char>(1u << random() % 8);
    const CheckpointFiles damaged = with_file(files, name, text);
    try {
      const WeightStore store = load(damaged);
      EXPECT_EQ(store.all().size(), 53u);
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), ErrorCode::kModel) << error.what();
      ++n_errors;
    }
  }
  EXPECT_GT(n_errors, kRounds / 2);
}

}  // namespace
}  // namespace qasr
