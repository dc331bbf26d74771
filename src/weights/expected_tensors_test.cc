// Tensor inventory and parameter counts of the published sizes. Source: the published checkpoints' tensor lists.
#include "weights/expected_tensors.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "weights/synthetic_models.h"

namespace qasr {
namespace {

std::map<std::string, Shape> shapes_of(const char* model) {
  std::map<std::string, Shape> shapes;
  for (const ExpectedTensor& tensor : expected_tensors(synthetic_model(model).config)) {
    EXPECT_TRUE(shapes.emplace(tensor.name, tensor.shape).second) << tensor.name << " is listed twice";
  }
  return shapes;
}

TEST(ExpectedTensors, CountsOfThePublishedModels) {
  const auto n_tensors = [](const char* model) { return expected_tensors(synthetic_model(model).config).size(); };
  EXPECT_EQ(n_tensors("qwen3-asr-0.6b"), 612u);
  EXPECT_EQ(n_tensors("qwen3-asr-1.7b"), 708u);
  EXPECT_EQ(n_tensors("qwen3-forced-aligner-0.6b"), 708u);
}

TEST(ExpectedTensors, OnlyATiedHeadIsOptional) {
  for (const std::string& name : synthetic_model_names()) {
    const ModelConfig config = synthetic_model(name).config;
    const std::vector<ExpectedTensor> tensors = expected_tensors(config);
    const auto n_optional = std::count_if(tensors.begin(), tensors.end(), [](const auto& t) { return t.optional; });
    EXPECT_EQ(n_optional, config.text.tied_head ? 1 : 0) << name;
    EXPECT_EQ(tensors.back().name, "lm_head.weight");
    EXPECT_EQ(tensors.back().optional, config.text.tied_head) << name;
  }
}

TEST(ExpectedTensors, ShapesOfThe600MModel) {
  const std::map<std::string, Shape> shapes = shapes_of("qwen3-asr-0.6b");
  const std::map<std::string, Shape> expected = {{"audio_tower.conv2d1.weight", {480, 1, 3, 3}},
                                                 {"audio_tower.conv2d3.weight", {480, 480, 3, 3}},
                                                 {"audio_tower.conv_out.weight", {896, 7680}},
                                                 {"audio_tower.layers.17.self_attn.k_proj.bias", {896}},
                                                 {"audio_tower.layers.17.self_attn.out_proj.weight", {896, 896}},
                                                 {"audio_tower.layers.0.fc1.weight", {3584, 896}},
                                                 {"audio_tower.layers.0.fc2.weight", {896, 3584}},
                                                 {"audio_tower.ln_post.bias", {896}},
                                                 {"audio_tower.proj1.weight", {896, 896}},
                                                 {"audio_tower.proj2.weight", {1024, 896}},
                                                 {"model.embed_tokens.weight", {151936, 1024}},
                                                 {"model.layers.27.self_attn.q_proj.weight", {2048, 1024}},
                                                 {"model.layers.27.self_attn.v_proj.weight", {1024, 1024}},
                                                 {"model.layers.27.self_attn.q_norm.weight", {128}},
                                                 {"model.layers.27.self_attn.o_proj.weight", {1024, 2048}},
                                                 {"model.layers.0.mlp.down_proj.weight", {1024, 3072}},
                                                 {"model.norm.weight", {1024}},
                                                 {"lm_head.weight", {151936, 1024}}};
  for (const auto& [name, shape] : expected) {
    ASSERT_TRUE(shapes.contains(name)) << name;
    EXPECT_EQ(shapes.at(name), shape) << name;
  }
  for (const char* name : {"audio_tower.conv_out.bias", "audio_tower.layers.18.fc1.weight",
                           "model.layers.28.mlp.up_proj.weight", "model.layers.0.self_attn.q_proj.bias"}) {
    EXPECT_FALSE(shapes.contains(name)) << name;
  }
}

TEST(ExpectedTensors, OddMelCountsRoundUpAtEveryHalving) {
  EXPECT_EQ(halved(128, 3), 16);
  EXPECT_EQ(halved(80, 3), 10);
  EXPECT_EQ(halved(1, 3), 1);
  EXPECT_EQ(halved(9, 3), 2);
  EXPECT_EQ(halved(100, 3), 13);
}

TEST(ParameterCounts, ArePublishedOnes) {
  const ParameterCounts small = count_parameters(synthetic_model("qwen3-asr-0.6b").config);
  EXPECT_EQ(small.encoder, 186'376'192u);
  EXPECT_EQ(small.decoder, 440'467'456u);
  EXPECT_EQ(small.embedding, 155'582'464u);
  EXPECT_EQ(small.head, 0u);
  EXPECT_EQ(small.total(), 782'426'112u);

  const ParameterCounts large = count_parameters(synthetic_model("qwen3-asr-1.7b").config);
  EXPECT_EQ(large.encoder, 317'477'504u);
  EXPECT_EQ(large.decoder, 1'409'410'048u);
  EXPECT_EQ(large.embedding, 311'164'928u);
  EXPECT_EQ(large.total(), 2'038'052'480u);

  const ParameterCounts aligner = count_parameters(synthetic_model("qwen3-forced-aligner-0.6b").config);
  EXPECT_EQ(aligner.encoder, 316'427'904u);
  EXPECT_EQ(aligner.decoder, 440'467'456u);
  EXPECT_EQ(aligner.embedding, 155'713'536u);
  EXPECT_EQ(aligner.head, 5'120'000u);
  EXPECT_EQ(aligner.total(), 917'728'896u);
}

}  // namespace
}  // namespace qasr
