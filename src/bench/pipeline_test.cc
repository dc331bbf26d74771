#include "bench/pipeline.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "backend/registry.h"
#include "weights/synthetic_checkpoint.h"

namespace qasr::bench {
namespace {

TEST(Pipeline, PromptHasTheLengthOfTheEngines) {
  const ModelConfig config = synthetic_model("qwen3-asr-0.6b").config;
  const std::vector<std::int32_t> ids = synthetic_prompt(config, 390);
  EXPECT_EQ(ids.size(), 405U);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), config.audio_token_id), 390);
}

TEST(Pipeline, PromptOfATinyVocabularyHasNoStrayPlaceholders) {
  for (const char* name : {"tiny_a", "tiny_b", "tiny_c", "tiny_d"}) {
    const ModelConfig config = synthetic_model(name).config;
    const std::vector<std::int32_t> ids = synthetic_prompt(config, 5);
    EXPECT_EQ(std::count(ids.begin(), ids.end(), config.audio_token_id), 5) << name;
    for (std::int32_t id : ids) EXPECT_TRUE(id >= 0 && id < config.text.vocab) << name << " " << id;
  }
}

TEST(Pipeline, SpeechIsFiniteAndAudible) {
  const std::vector<float> samples = synthetic_speech(16000);
  ASSERT_EQ(samples.size(), 16000U);
  for (float sample : samples) ASSERT_LE(std::abs(sample), 1.0F);
  EXPECT_GT(*std::max_element(samples.begin(), samples.end()), 0.1F);
}

class PipelineRun : public ::testing::Test {
 protected:
  const CheckpointFiles files_ = synthetic_checkpoint(synthetic_model("tiny_a"));
  const ModelConfig config_ = parse_model_config(files_);
  const WeightStore weights_{files_, config_};
  const std::unique_ptr<Backend> backend_ = make_cpu_backend(1, "generic");
  const BareModel model_{config_, {weights_, *backend_, WeightFormat::kF32}};
};

TEST_F(PipelineRun, StagesTakeTime) {
  Pipeline pipeline(model_, *backend_, {.audio_s = 2.5, .n_segments = 2, .n_tokens = 3});
  for (int run = 0; run < 2; ++run) {
    const StageTimes times = pipeline.run();
    EXPECT_GT(times.mel_ms, 0);
    EXPECT_GT(times.stem_ms, 0);
    EXPECT_GT(times.encoder_ms, times.stem_ms);
    EXPECT_GT(times.prefill_ms, 0);
    EXPECT_GT(times.decode_ms, 0);
    EXPECT_EQ(times.total_ms(), times.mel_ms + times.encoder_ms + times.prefill_ms + times.decode_ms);
  }
  EXPECT_EQ(pipeline.n_frames(), 250);
  EXPECT_EQ(pipeline.n_prompt_tokens(), 15 + model_.encoder.n_audio_tokens(250));
  // Steps see one position more each time: n + 1, n + 2 and n + 3 positions for two sequences.
  EXPECT_EQ(pipeline.kv_bytes_per_step(),
            2.0 * (pipeline.n_prompt_tokens() + 2) *
                static_cast<double>(KvPool::bytes_per_position(config_.text, DType::kF32)));
}

TEST_F(PipelineRun, RefusesMorePositionsThanTheModelHas) {
  try {
    Pipeline pipeline(model_, *backend_, {.audio_s = 1, .n_tokens = config_.text.max_positions});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInput);
  }
}

TEST_F(PipelineRun, StepReadsEveryMatrixOfTheDecoder) {
  std::size_t expected = 0;  // a head of its own is not used: the embedding serves both
  for (const HostTensor& tensor : weights_.all()) {
    const bool is_decoder = tensor.name.rfind("model.", 0) == 0;
    if (is_decoder && tensor.shape.rank() == 2) expected += static_cast<std::size_t>(tensor.shape.elements()) * 4;
  }
  EXPECT_GE(model_.decoder.step_weight_bytes(), expected);  // padding comes on top
}

}  // namespace
}  // namespace qasr::bench
