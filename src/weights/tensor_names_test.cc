// Tensor names of the three layouts.
#include "weights/tensor_names.h"

#include <gtest/gtest.h>

#include "weights/expected_tensors.h"
#include "weights/synthetic_models.h"

namespace qasr {
namespace {

TEST(TensorNames, EveryLayoutLeadsToTheCanonicalName) {
  const char* rows[][3] = {
      // canonical, official, transformers
      {"audio_tower.conv2d1.weight", "thinker.audio_tower.conv2d1.weight", "model.audio_tower.conv2d1.weight"},
      {"audio_tower.proj1.bias", "thinker.audio_tower.proj1.bias", "model.multi_modal_projector.linear_1.bias"},
      {"audio_tower.proj2.weight", "thinker.audio_tower.proj2.weight", "model.multi_modal_projector.linear_2.weight"},
      {"model.layers.3.mlp.up_proj.weight", "thinker.model.layers.3.mlp.up_proj.weight",
       "model.language_model.layers.3.mlp.up_proj.weight"},
      {"model.norm.weight", "thinker.model.norm.weight", "model.language_model.norm.weight"}};
  for (const auto& [canonical, official, transformers] : rows) {
    EXPECT_EQ(canonical_name(official).name, canonical);
    EXPECT_EQ(canonical_name(official).layout, NameLayout::kOfficial);
    EXPECT_EQ(canonical_name(transformers).name, canonical);
    EXPECT_EQ(canonical_name(transformers).layout, NameLayout::kTransformers);
    EXPECT_EQ(canonical_name(canonical).name, canonical);
    EXPECT_EQ(canonical_name(canonical).layout, NameLayout::kBare);
    EXPECT_EQ(stored_name(canonical, NameLayout::kOfficial), official);
    EXPECT_EQ(stored_name(canonical, NameLayout::kTransformers), transformers);
    EXPECT_EQ(stored_name(canonical, NameLayout::kBare), canonical);
  }
}

TEST(TensorNames, TheHeadIsCalledScoreInTheTransformersAligner) {
  EXPECT_EQ(canonical_name("thinker.lm_head.weight").name, "lm_head.weight");
  EXPECT_EQ(canonical_name("lm_head.weight").name, "lm_head.weight");
  EXPECT_EQ(canonical_name("score.weight").name, "lm_head.weight");
  EXPECT_EQ(stored_name("lm_head.weight", NameLayout::kTransformers), "lm_head.weight");
  EXPECT_EQ(stored_name("lm_head.weight", NameLayout::kTransformers, /*is_forced_aligner=*/true), "score.weight");
}

TEST(TensorNames, NamesNoLayoutKnowsAreKept) {
  EXPECT_EQ(canonical_name("talker.model.x").name, "talker.model.x");
  EXPECT_EQ(canonical_name("").name, "");
}

TEST(TensorNames, EveryExpectedNameSurvivesTheRoundTrip) {
  for (const char* model : {"qwen3-asr-0.6b", "qwen3-forced-aligner-0.6b"}) {
    const ModelConfig config = synthetic_model(model).config;
    for (const ExpectedTensor& tensor : expected_tensors(config)) {
      for (const NameLayout layout : {NameLayout::kOfficial, NameLayout::kTransformers, NameLayout::kBare}) {
        EXPECT_EQ(canonical_name(stored_name(tensor.name, layout, config.is_forced_aligner)).name, tensor.name);
      }
    }
  }
}

}  // namespace
}  // namespace qasr
