// The miniature model: a weight-free end-to-end check whose activations are known from two independent float64
// implementations, to six decimals. Input: the log-mel of the two-tone test signal S(145000), computed by the engine.
// Source of the table: qasr's specification of the model; tools/qasr_tools reproduces it with transformers in f32.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>

#include "audio/log_mel.h"
#include "golden_support.h"
#include "support/test_signals.h"
#include "weights/synthetic_checkpoint.h"

namespace qasr::testing {
namespace {

constexpr float kEncoderAbsTol = 1e-4F, kLogitsAbsTol = 5e-4F;
constexpr int kSamples = 145000, kFrames = 906, kTokens = 118;

struct ExpectedRow {
  std::int64_t row;
  std::vector<float> values;  // of the first columns
};

class Miniature : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    backend_ = make_backend_by_name(GetParam());
    if (backend_ == nullptr) GTEST_SKIP() << "this machine lacks " << GetParam();
    files_ =
        std::make_unique<CheckpointFiles>(synthetic_checkpoint(synthetic_model("miniature"), {.dtype = DType::kF32}));
    model_ = std::make_unique<BareModel>(*files_, *backend_);
    LogMel().compute(tones_signal(kSamples), features_);
    ASSERT_EQ(features_.n_frames, kFrames);
  }

  static void expect_rows(const std::vector<float>& matrix, std::int64_t cols, const std::vector<ExpectedRow>& rows,
                          float tolerance) {
    for (const ExpectedRow& expected : rows) {
      for (std::size_t col = 0; col < expected.values.size(); ++col) {
        EXPECT_NEAR(matrix[static_cast<std::size_t>(expected.row * cols) + col], expected.values[col], tolerance)
            << "row " << expected.row << " column " << col;
      }
    }
  }

  static void expect_mean_and_deviation(const std::vector<float>& values, double mean, double deviation) {
    const double n = static_cast<double>(values.size());
    const double found = std::accumulate(values.begin(), values.end(), 0.0) / n;
    double squares = 0;
    for (float value : values) squares += (value - found) * (value - found);
    EXPECT_NEAR(found, mean, kEncoderAbsTol);
    EXPECT_NEAR(std::sqrt(squares / n), deviation, kEncoderAbsTol);
  }

  std::unique_ptr<Backend> backend_;
  std::unique_ptr<CheckpointFiles> files_;
  std::unique_ptr<BareModel> model_;
  LogMelSpectrogram features_;
};

TEST_P(Miniature, Weights) {
  const auto first = [&](const std::string& name) {
    std::array<float, 3> values;
    std::memcpy(values.data(), model_->weights.tensor(name).bytes.data(), sizeof values);
    return values;
  };
  const auto expect = [&](const std::string& name, const std::vector<float>& values) {
    for (std::size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(first(name)[i], values[i], 1e-8F) << name;
  };
  expect("audio_tower.conv2d1.weight", {0.09871441F, 0.24785015F, -0.07307988F});
  expect("model.embed_tokens.weight", {0.09793682F, 0.10577026F, 0.07377754F});
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_NEAR(first("audio_tower.ln_post.weight")[i], i == 0 ? 1.02159333F : 1.03570962F, 1e-7F);
  }
}

TEST_P(Miniature, Encoder) {
  double mean = 0;
  for (float value : features_.values) mean += value;
  EXPECT_NEAR(mean / static_cast<double>(features_.values.size()), 0.255223, 2e-6);

  const EncoderStages stages = encode_stages(*backend_, model_->encoder, features_);
  const std::vector<float>& stem = stages.at("stem");
  ASSERT_EQ(stem.size(), std::size_t{kTokens * 128});
  expect_rows(stem, 128,
              {{0, {0.009746F, 0.024181F, 0.000129F}}, {13, {0.020196F}}, {117, {0.022659F, 0.034928F, 0.016795F}}},
              kEncoderAbsTol);
  expect_mean_and_deviation(stem, 0.465705, 0.535857);

  const std::vector<float>& output = stages.at("output");
  ASSERT_EQ(output.size(), std::size_t{kTokens * 96});
  expect_rows(output, 96,
              {{0, {0.576148F, -0.202986F, 0.005701F, -0.243618F}},
               {1, {0.416480F, -0.181387F, 0.077531F, -0.232515F}},
               {12, {0.715830F, -0.108470F, 0.325804F, -0.449795F}},
               {103, {0.720134F, -0.104235F, 0.326038F, -0.452469F}},
               {104, {0.611511F, -0.226251F, -0.002643F, -0.237275F}},   // first of the second window
               {117, {0.614024F, -0.227250F, -0.004626F, -0.244012F}}},  // tail chunk of 6 frames
              kEncoderAbsTol);
  EXPECT_NEAR(output[117 * 96 + 95], 0.197340F, kEncoderAbsTol);
  expect_mean_and_deviation(output, -0.018102, 0.401476);
}

TEST_P(Miniature, EncoderOfAClipShorterThanAChunk) {
  LogMelSpectrogram clip{.n_mels = 128, .n_frames = 57, .values = {}};
  for (int mel = 0; mel < 128; ++mel) {
    const auto row = features_.values.begin() + static_cast<std::ptrdiff_t>(mel) * kFrames;
    clip.values.insert(clip.values.end(), row, row + 57);
  }
  const EncoderStages stages = encode_stages(*backend_, model_->encoder, clip);
  ASSERT_EQ(stages.at("output").size(), std::size_t{8 * 96});
  expect_rows(
      stages.at("output"), 96,
      {{0, {0.615063F, -0.047015F, 0.059860F, -0.184865F}}, {7, {0.794206F, -0.145583F, 0.451597F, -0.341830F}}},
      kEncoderAbsTol);
}

struct ExpectedLogits {
  std::size_t position;
  std::array<float, 5> first;
  std::size_t argmax;
  float largest;
};

void expect_logits(std::span<const float> logits, const ExpectedLogits& expected) {
  ASSERT_EQ(logits.size(), 64U);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(logits[i], expected.first[i], kLogitsAbsTol) << "position " << expected.position << " id " << i;
  }
  const auto largest = std::max_element(logits.begin(), logits.end());
  EXPECT_EQ(static_cast<std::size_t>(largest - logits.begin()), expected.argmax) << "position " << expected.position;
  EXPECT_NEAR(*largest, expected.largest, kLogitsAbsTol);
}

TEST_P(Miniature, Decoder) {
  static constexpr std::array<ExpectedLogits, 7> kExpected = {{
      {0, {-1.345957F, 0.633045F, 0.263580F, -0.928022F, -0.113710F}, 39, 2.006561F},
      {3, {0.422970F, 0.210752F, -0.651140F, -0.983756F, -0.393760F}, 39, 2.120032F},
      {4, {0.132827F, 0.766167F, -0.535642F, 0.060362F, -0.029468F}, 50, 1.290027F},
      {121, {0.590707F, 0.600339F, -0.244027F, -0.142862F, -0.212781F}, 16, 2.008488F},
      {124, {0.504018F, 0.569731F, -0.318874F, -0.430979F, -0.144752F}, 18, 2.162564F},
      {125, {0.226179F, 0.558502F, -0.305388F, -0.421451F, -0.341094F}, 18, 2.323450F},
      {126, {0.014299F, 0.576654F, -0.096350F, -0.239896F, -0.112725F}, 18, 2.207171F},
  }};
  std::vector<std::int32_t> ids = {1, 2, 3, 60};
  ids.insert(ids.end(), kTokens, 63);
  ids.insert(ids.end(), {61, 4, 5});

  EncoderWorkspace encoder_workspace;
  DeviceTensor audio;
  const LogMelSpectrogram* batch[] = {&features_};
  model_->encoder.forward(batch, ShortClipPadding::kOfficial, encoder_workspace, audio);

  KvPool pool(*backend_, model_->config.text, 1024, DType::kF32);
  DecoderWorkspace workspace;
  std::vector<std::int32_t> next(1);
  const auto prefill = [&](KvSequence& sequence, std::size_t n_rows) {
    const std::int64_t n_audio = std::count(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(n_rows), 63);
    PrefillInput input{.sequence = &sequence, .ids = std::span(ids).first(n_rows), .audio = {}};
    if (n_audio > 0) input.audio = audio.view().slice_rows(0, n_audio);
    model_->decoder.prefill(std::span(&input, 1), workspace, next);
  };
  for (std::size_t row : {0U, 3U, 4U, 121U}) {
    KvSequence sequence(pool);
    prefill(sequence, row + 1);
    const auto expected =
        std::find_if(kExpected.begin(), kExpected.end(), [&](const auto& e) { return e.position == row; });
    expect_logits(download(*backend_, workspace.logits.view()), *expected);
  }
  KvSequence sequence(pool);
  prefill(sequence, ids.size());
  expect_logits(download(*backend_, workspace.logits.view()), kExpected[4]);
  KvSequence* running[] = {&sequence};
  for (std::size_t step = 0; step < 2; ++step) {
    next[0] = step == 0 ? 7 : 11;
    model_->decoder.decode_step(running, next, workspace, next);
    expect_logits(download(*backend_, workspace.logits.view()), kExpected[5 + step]);
  }
}

INSTANTIATE_TEST_SUITE_P(All, Miniature, ::testing::ValuesIn(backend_names()),
                         [](const auto& test) { return test_name(test.param); });

}  // namespace
}  // namespace qasr::testing
