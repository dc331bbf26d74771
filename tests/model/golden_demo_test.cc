// The demonstration model against Hugging Face transformers: log-mel, encoder, first logits, token ids and text of
// every sample recording, and the encoder's stages at the frame counts where rules change. Golden data:
// tests/golden/demo, written by tools/golden/export_demo.py.
#include <gtest/gtest.h>

#include "backend/registry.h"
#include "golden_support.h"
#include "measured.h"
#include "model/model.h"
#include "model/search.h"
#include "qasr/audio.h"
#include "text/asr_output.h"
#include "weights/synthetic.h"

namespace qasr::testing {
namespace {

constexpr int kMaxTokens = 256;
constexpr std::size_t kMinSamples = 8000;  // shorter recordings are padded with zeros, as the reference does

struct Case {
  std::string file, arrays, context, language, raw, transcript;
  std::vector<std::int32_t> prompt_ids, output_ids;
};

Case parse_case(const nlohmann::json& json) {
  const auto text = [&](const char* key) { return json.at(key).get<std::string>(); };
  return {.file = text("file"),
          .arrays = text("arrays"),
          .context = text("context"),
          .language = text("language"),
          .raw = text("raw"),
          .transcript = text("transcript"),
          .prompt_ids = json.at("prompt_ids").get<std::vector<std::int32_t>>(),
          .output_ids = json.at("output_ids").get<std::vector<std::int32_t>>()};
}

class GoldenDemo : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    backend_ = make_backend_by_name(GetParam());
    if (backend_ == nullptr) GTEST_SKIP() << "this machine lacks " << GetParam();
    golden_ = read_json(source_path("tests/golden/demo/golden.json"));
    arrays_ = std::make_unique<GoldenArrays>(source_path("tests/golden/demo/" + golden_.at("file").get<std::string>()));
    files_ = std::make_unique<CheckpointFiles>(CheckpointFiles::open_directory(source_path("models/demo-en")));
    const ModelConfig config = parse_model_config(*files_);
    const WeightFormat format = is_bf16() ? WeightFormat::kBf16 : WeightFormat::kF32;
    model_ = std::make_unique<Model>(*files_, config, WeightPacker(WeightStore(*files_, config), *backend_, format));
  }

  bool is_bf16() const { return backend_->activation_dtype() == DType::kBf16; }
  double limit(double f32_limit) const { return is_bf16() ? kBf16Tol : f32_limit; }
  // Errors of the two kinds are recorded apart.
  std::string kind(const std::string& what) const { return is_bf16() ? what + ", bf16" : what; }

  LogMelSpectrogram features_of(const std::string& file) const {
    std::vector<float> samples = load_audio(source_path("models/demo-en/samples/" + file)).samples;
    if (samples.size() < kMinSamples) samples.resize(kMinSamples);
    LogMelSpectrogram features;
    model_->log_mel().compute(samples, features);
    return features;
  }

  void expect_log_mel(const std::string& file, const LogMelSpectrogram& features) const {
    const std::vector<float>& expected = arrays_->floats(file + ".log_mel");
    const std::vector<std::int32_t> frames = arrays_->ints(file + ".mel_frames");
    ASSERT_EQ(expected.size(), frames.size() * static_cast<std::size_t>(features.n_mels));
    float largest = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const std::size_t mels = static_cast<std::size_t>(features.n_mels), mel = i % mels;
      const std::size_t frame = static_cast<std::size_t>(frames[i / mels]);
      const float found = features.values[mel * static_cast<std::size_t>(features.n_frames) + frame];
      largest = std::max(largest, std::abs(found - expected[i]));
    }
    expect_within("log-mel, absolute", largest, kLogMelMaxAbs, file);
  }

  void expect_encoder(const std::string& file, const EncoderStages& stages) const {
    const std::vector<std::int32_t> rows = arrays_->ints(file + ".rows");
    for (const std::string stage : {"ln_post", "output"}) {
      const std::vector<float>& expected = arrays_->floats(file + "." + stage);
      const std::int64_t cols = static_cast<std::int64_t>(expected.size() / rows.size());
      expect_within(kind("recordings, encoder " + stage),
                    relative_error(pick_rows(stages.at(stage), cols, rows), expected), limit(kEncoderTol), file);
    }
  }

  // All stages of a synthetic log-mel; `rule` names the golden arrays.
  void expect_stages(int n_frames, const std::string& rule, ShortClipPadding padding) const {
    const AudioEncoderConfig& config = model_->config().audio;
    const LogMelSpectrogram features{
        .n_mels = config.n_mels, .n_frames = n_frames, .values = synthetic_log_mel(config.n_mels, n_frames)};
    const std::string prefix = "encoder." + std::to_string(n_frames) + ".";
    const std::vector<std::int32_t> rows = arrays_->ints(prefix + "rows");
    const EncoderStages stages = encode_stages(*backend_, model_->encoder(), features, padding);
    EXPECT_EQ(stages.size(), 5U);
    for (const auto& [stage, values] : stages) {
      const std::int64_t cols = stage == "output" ? config.output_dim : config.d_model;
      const std::vector<float>& expected = arrays_->floats(prefix + rule + "." + stage);
      expect_within(kind("encoder " + stage), relative_error(pick_rows(values, cols, rows), expected),
                    limit(kEncoderTol), std::to_string(n_frames) + " frames, " + rule + " padding");
    }
  }

  void expect_text(const Case& expected, ConstTensorView audio) const {
    SCOPED_TRACE(expected.arrays);
    const std::vector<std::int32_t> prompt =
        model_->prompt().build(expected.context, expected.language, static_cast<int>(audio.rows()));
    ASSERT_EQ(prompt, expected.prompt_ids);

    KvPool pool(*backend_, model_->config().text, static_cast<std::int64_t>(prompt.size()) + kMaxTokens,
                is_bf16() ? DType::kBf16 : DType::kF32);
    KvSequence sequence(pool);
    const PrefillInput input{.sequence = &sequence, .ids = prompt, .audio = audio};
    DecoderWorkspace workspace;
    std::int32_t first_id = 0;
    model_->decoder().prefill(std::span(&input, 1), workspace, std::span(&first_id, 1));
    expect_within(kind("recordings, first logits"),
                  relative_error(download(*backend_, workspace.logits.view()),
                                 arrays_->floats(expected.arrays + ".first_logits")),
                  limit(kLogitsTol), expected.arrays);

    const SearchInput search{.sequence = &sequence, .first_id = first_id, .max_tokens = kMaxTokens};
    const std::vector<SearchResult> results =
        greedy_search(model_->decoder(), std::span(&search, 1), model_->config().eos_token_ids, workspace);
    ASSERT_EQ(results.at(0).ids, expected.output_ids);
    const std::string raw = model_->tokenizer().decode(results[0].ids);
    EXPECT_EQ(raw, expected.raw);
    EXPECT_EQ(parse_asr_output(raw, expected.language).text, expected.transcript);
  }

  std::unique_ptr<Backend> backend_;
  nlohmann::json golden_;
  std::unique_ptr<GoldenArrays> arrays_;
  std::unique_ptr<CheckpointFiles> files_;
  std::unique_ptr<Model> model_;
};

TEST_P(GoldenDemo, Recordings) {
  std::string file;
  DeviceTensor audio;
  for (const nlohmann::json& json : golden_.at("cases")) {
    const Case expected = parse_case(json);
    if (expected.file != file) {  // cases of one recording follow each other
      file = expected.file;
      const LogMelSpectrogram features = features_of(file);
      ASSERT_EQ(features.n_frames, json.at("n_frames").get<int>()) << file;
      expect_log_mel(file, features);
      const EncoderStages stages = encode_stages(*backend_, model_->encoder(), features);
      expect_encoder(file, stages);
      const std::int64_t hidden = model_->config().text.hidden;
      const std::vector<float>& output = stages.at("output");
      backend_->upload(output.data(),
                       audio.resize(*backend_, {static_cast<std::int64_t>(output.size()) / hidden, hidden}));
    }
    expect_text(expected, audio.view());
  }
  EXPECT_GE(golden_.at("cases").size(), 5U);
}

// Recordings shorter than a chunk are compared under both ways to pad them.
TEST_P(GoldenDemo, EncoderStages) {
  for (int n_frames : golden_.at("encoder_frames").get<std::vector<int>>()) {
    const bool is_short = n_frames < model_->config().audio.chunk_frames();
    if (is_short) expect_stages(n_frames, "official", ShortClipPadding::kOfficial);
    expect_stages(n_frames, "transformers", ShortClipPadding::kTransformers);
  }
}

class GoldenDemoRecorded : public GoldenDemo {};

// The layers as one record, which is replayed from the third time on, for rows of other numbers and values.
TEST_P(GoldenDemoRecorded, Encoder) {
  ASSERT_GT(backend_->recorded_rows_step(), 0);
  const AudioEncoderConfig& config = model_->config().audio;
  EncoderWorkspace workspace;
  DeviceTensor out;
  for (int round = 0; round < 4; ++round) {
    for (int n_frames : golden_.at("encoder_frames").get<std::vector<int>>()) {
      const LogMelSpectrogram features{
          .n_mels = config.n_mels, .n_frames = n_frames, .values = synthetic_log_mel(config.n_mels, n_frames)};
      const LogMelSpectrogram* const batch[] = {&features};
      model_->encoder().forward(batch, ShortClipPadding::kTransformers, workspace, out);
      const std::string prefix = "encoder." + std::to_string(n_frames) + ".";
      const std::vector<float> found =
          pick_rows(download(*backend_, out.view()), config.output_dim, arrays_->ints(prefix + "rows"));
      expect_within(kind("recorded encoder"), relative_error(found, arrays_->floats(prefix + "transformers.output")),
                    limit(kEncoderTol), std::to_string(n_frames) + " frames, round " + std::to_string(round));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, GoldenDemo, ::testing::ValuesIn(backend_names()),
                         [](const auto& test) { return test_name(test.param); });
INSTANTIATE_TEST_SUITE_P(Gpu, GoldenDemo, ::testing::Values("cuda"), [](const auto& test) { return test.param; });
INSTANTIATE_TEST_SUITE_P(Gpu, GoldenDemoRecorded, ::testing::Values("cuda"),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace qasr::testing
