// Five tiny synthetic models (one with outlier channels) against Hugging Face transformers: every encoder stage at the
// frame counts where rules change, logits and greedy tokens; and batches of mixed lengths against single runs. Golden
// data: tests/golden/model_tiny, written by tools/golden/export_model.py.
#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "golden_support.h"
#include "measured.h"
#include "weights/synthetic_checkpoint.h"

namespace qasr::testing {
namespace {

constexpr int kSteps = 32;

LogMelSpectrogram test_features(int n_mels, int n_frames) {
  return {.n_mels = n_mels, .n_frames = n_frames, .values = synthetic_log_mel(n_mels, n_frames)};
}

class GoldenTiny : public ::testing::TestWithParam<std::tuple<std::string, std::string>> {
 protected:
  void SetUp() override {
    const auto& [name, backend_name] = GetParam();
    backend_ = make_backend_by_name(backend_name);
    if (backend_ == nullptr) GTEST_SKIP() << "this machine lacks " << backend_name;
    const nlohmann::json golden = read_json(source_path("tests/golden/model_tiny/golden.json"));
    const nlohmann::json& entry = golden.at("models").at(name);
    frames_ = golden.at("encoder_frames").get<std::vector<int>>();
    decoder_frames_ = golden.at("decoder_frames").get<int>();
    arrays_ =
        std::make_unique<GoldenArrays>(source_path("tests/golden/model_tiny/" + entry.at("file").get<std::string>()));
    files_ = std::make_unique<CheckpointFiles>(
        synthetic_checkpoint(synthetic_model(name), {.seed = entry.at("seed").get<std::uint32_t>()}));
    model_ = std::make_unique<BareModel>(*files_, *backend_);
  }

  // All stages of one frame count; `rule` says which of the two ways to convolve short recordings was used.
  void expect_stages(int n_frames, const std::string& rule, ShortClipPadding padding) {
    const AudioEncoderConfig& config = model_->encoder.config();
    const EncoderStages stages =
        encode_stages(*backend_, model_->encoder, test_features(config.n_mels, n_frames), padding);
    const std::string prefix = "encoder." + std::to_string(n_frames) + ".";
    const std::vector<std::int32_t> rows = arrays_->ints(prefix + "rows");
    for (const auto& [stage, values] : stages) {
      const std::int64_t cols = stage == "output" ? config.output_dim : config.d_model;
      ASSERT_EQ(static_cast<std::int64_t>(values.size()), cols * model_->encoder.n_audio_tokens(n_frames));
      const std::vector<float>& expected = arrays_->floats(prefix + rule + "." + stage);
      expect_within("encoder " + stage, relative_error(pick_rows(values, cols, rows), expected), kEncoderTol,
                    std::to_string(n_frames) + " frames, " + rule + " padding");
    }
    EXPECT_EQ(stages.size(), 5U);
  }

  DeviceTensor encode(int n_frames) {
    const LogMelSpectrogram features = test_features(model_->encoder.config().n_mels, n_frames);
    const LogMelSpectrogram* batch[] = {&features};
    EncoderWorkspace workspace;
    DeviceTensor out;
    model_->encoder.forward(batch, ShortClipPadding::kOfficial, workspace, out);
    return out;
  }

  DecoderRun decode(const DecoderPrompt& prompt, int n_steps) {
    return run_decoder(*backend_, model_->decoder, std::span(&prompt, 1), n_steps);
  }

  // The first `n_rows` rows of a prompt as a prompt of their own: its logits are those of row n_rows - 1.
  DecoderPrompt prefix_of(const DecoderPrompt& prompt, std::int32_t n_rows) const {
    DecoderPrompt prefix{.ids = {prompt.ids.begin(), prompt.ids.begin() + n_rows}, .audio = {}};
    const auto n_audio = std::count(prefix.ids.begin(), prefix.ids.end(), model_->config.audio_token_id);
    if (n_audio > 0) prefix.audio = prompt.audio;
    if (n_audio > 0) prefix.audio.shape = {n_audio, prompt.audio.cols()};
    return prefix;
  }

  void expect_decoder(const std::string& name, const DecoderPrompt& prompt) {
    const DecoderRun run = decode(prompt, kSteps);
    EXPECT_EQ(run.ids[0], arrays_->ints(name + ".generated_ids"));
    expect_within("logits after 32 steps", relative_error(run.last_logits[0], arrays_->floats(name + ".last_logits")),
                  kLogitsTol, name);

    const std::vector<std::int32_t> rows = arrays_->ints(name + ".logit_rows");
    const std::vector<float>& logits = arrays_->floats(name + ".prompt_logits");
    const std::size_t vocab = static_cast<std::size_t>(model_->config.text.vocab);
    ASSERT_EQ(logits.size(), rows.size() * vocab);
    ASSERT_EQ(rows.back(), static_cast<std::int32_t>(prompt.ids.size()) - 1);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const DecoderRun at_row = decode(prefix_of(prompt, rows[i] + 1), 1);
      expect_within("logits of a prompt row",
                    relative_error(at_row.first_logits[0], std::span(logits).subspan(i * vocab, vocab)), kLogitsTol,
                    name + " row " + std::to_string(rows[i]));
    }
  }

  std::unique_ptr<Backend> backend_;
  std::vector<int> frames_;
  int decoder_frames_ = 0;
  std::unique_ptr<GoldenArrays> arrays_;
  std::unique_ptr<CheckpointFiles> files_;
  std::unique_ptr<BareModel> model_;
};

TEST_P(GoldenTiny, EncoderStages) {
  for (int n_frames : frames_) {
    const bool is_short = n_frames < model_->encoder.config().chunk_frames();
    if (is_short) expect_stages(n_frames, "official", ShortClipPadding::kOfficial);
    expect_stages(n_frames, "transformers", ShortClipPadding::kTransformers);
  }
}

TEST_P(GoldenTiny, DecoderWithAudio) {
  const DeviceTensor audio = encode(decoder_frames_);
  expect_decoder("decoder", {.ids = arrays_->ints("decoder.prompt_ids"), .audio = audio.view()});
}

TEST_P(GoldenTiny, DecoderTextOnly) {
  expect_decoder("text_only", {.ids = arrays_->ints("text_only.prompt_ids"), .audio = {}});
}

TEST_P(GoldenTiny, EncoderBatchEqualsSingleRuns) {
  const std::vector<int> lengths = {801, 1, 100, 7, 1650, 99};
  std::vector<LogMelSpectrogram> features;
  for (int n_frames : lengths) features.push_back(test_features(model_->encoder.config().n_mels, n_frames));
  std::vector<const LogMelSpectrogram*> batch;
  for (const LogMelSpectrogram& recording : features) batch.push_back(&recording);
  EncoderWorkspace workspace;
  DeviceTensor out;
  model_->encoder.forward(batch, ShortClipPadding::kOfficial, workspace, out);

  std::vector<float> single_runs;
  for (int n_frames : lengths) {
    const DeviceTensor single = encode(n_frames);
    const std::vector<float> values = download(*backend_, single.view());
    single_runs.insert(single_runs.end(), values.begin(), values.end());
  }
  EXPECT_EQ(download(*backend_, out.view()), single_runs);  // bit for bit
}

TEST_P(GoldenTiny, DecoderBatchEqualsSingleRuns) {
  const DeviceTensor audio = encode(decoder_frames_);
  const DecoderPrompt with_audio{.ids = arrays_->ints("decoder.prompt_ids"), .audio = audio.view()};
  const DecoderPrompt text_only{.ids = arrays_->ints("text_only.prompt_ids"), .audio = {}};
  const std::vector<DecoderPrompt> prompts = {text_only, with_audio, prefix_of(text_only, 1),
                                              prefix_of(with_audio, 20)};
  const DecoderRun batch = run_decoder(*backend_, model_->decoder, prompts, kSteps);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const DecoderRun single = decode(prompts[i], kSteps);
    EXPECT_EQ(batch.ids[i], single.ids[0]) << "sequence " << i;
    EXPECT_EQ(batch.first_logits[i], single.first_logits[0]) << "sequence " << i;  // bit for bit
    EXPECT_EQ(batch.last_logits[i], single.last_logits[0]) << "sequence " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(All, GoldenTiny,
                         ::testing::Combine(::testing::Values("tiny_a", "tiny_b", "tiny_c", "tiny_d", "tiny_e-spiky"),
                                            ::testing::ValuesIn(backend_names())),
                         [](const auto& test) {
                           return test_name(std::get<0>(test.param) + "_" + std::get<1>(test.param));
                         });

}  // namespace
}  // namespace qasr::testing
