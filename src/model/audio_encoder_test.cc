// What must hold for any weights: batches equal single runs, windows are independent, tails follow the padding rule.
#include "model/audio_encoder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "backend/reference/reference_backend.h"
#include "backend/registry.h"
#include "weights/synthetic_checkpoint.h"

namespace qasr {
namespace {

LogMelSpectrogram synthetic_features(int n_mels, int n_frames) {
  return {n_mels, n_frames, synthetic_log_mel(n_mels, n_frames)};
}

// Frames [begin, begin + n_frames) as a recording of their own.
LogMelSpectrogram slice(const LogMelSpectrogram& from, int begin, int n_frames) {
  LogMelSpectrogram part{from.n_mels, n_frames, {}};
  for (int mel = 0; mel < from.n_mels; ++mel) {
    const auto row = from.values.begin() + static_cast<std::ptrdiff_t>(mel) * from.n_frames + begin;
    part.values.insert(part.values.end(), row, row + n_frames);
  }
  return part;
}

// Computes with more rows than there are, as backends do that record operations.
class PaddingBackend final : public reference::ReferenceBackend {
 public:
  std::int64_t recorded_rows_step() const override { return 32; }
};

std::unique_ptr<Backend> make_named(const std::string& name) {
  if (name == "padding") return std::make_unique<PaddingBackend>();
  return make_backend({.backend = name == "cpu" ? BackendKind::kCpu : BackendKind::kReference});
}

class AudioEncoderTest : public ::testing::TestWithParam<const char*> {
 protected:
  AudioEncoderTest()
      : model_(synthetic_model("tiny_a")),
        files_(synthetic_checkpoint(model_)),
        weights_(files_, model_.config),
        backend_(make_named(GetParam())),
        encoder_(model_.config.audio, {weights_, *backend_, WeightFormat::kStored}) {}

  std::vector<float> encode(std::vector<const LogMelSpectrogram*> batch,
                            ShortClipPadding padding = ShortClipPadding::kOfficial) {
    EncoderWorkspace workspace;
    DeviceTensor out;
    encoder_.forward(batch, padding, workspace, out);
    std::vector<float> values(static_cast<std::size_t>(out.view().shape.elements()));
    backend_->download(out.view(), values.data());
    return values;
  }

  SyntheticModel model_;
  CheckpointFiles files_;
  WeightStore weights_;
  std::unique_ptr<Backend> backend_;
  AudioEncoder encoder_;
};

TEST_P(AudioEncoderTest, BatchOfMixedLengthsEqualsSingleRunsBitForBit) {
  std::vector<LogMelSpectrogram> recordings;
  for (const int n_frames : {1, 57, 100, 850, 99, 1650, 0, 801})
    recordings.push_back(synthetic_features(128, n_frames));
  std::vector<const LogMelSpectrogram*> batch;
  std::vector<float> singles;
  for (const LogMelSpectrogram& recording : recordings) {
    batch.push_back(&recording);
    const std::vector<float> rows = encode({&recording});
    EXPECT_EQ(rows.size() / 40, static_cast<std::size_t>(encoder_.n_audio_tokens(recording.n_frames)));
    singles.insert(singles.end(), rows.begin(), rows.end());
  }
  EXPECT_EQ(encode(batch), singles);
}

TEST_P(AudioEncoderTest, WindowsOfTheSameLogMelAreIndependent) {
  const LogMelSpectrogram whole = synthetic_features(128, 2000);
  const LogMelSpectrogram parts[] = {slice(whole, 0, 800), slice(whole, 800, 800), slice(whole, 1600, 400)};
  EXPECT_EQ(encode({&whole}), encode({&parts[0], &parts[1], &parts[2]}));
}

TEST_P(AudioEncoderTest, TailChunkSeesZerosNotWhatFollowed) {
  const LogMelSpectrogram whole = synthetic_features(128, 200);
  const LogMelSpectrogram cut = slice(whole, 0, 199);
  const std::vector<float> a = encode({&whole}), b = encode({&cut});
  ASSERT_EQ(a.size(), b.size());
  EXPECT_NE(a, b);  // attention spreads the difference of the last token over the window
}

TEST_P(AudioEncoderTest, ShortClipPaddingMattersOnlyBelowOneChunk) {
  const LogMelSpectrogram clip = synthetic_features(128, 57), longer = synthetic_features(128, 157);
  const std::vector<float> official = encode({&clip}), padded = encode({&clip}, ShortClipPadding::kTransformers);
  ASSERT_EQ(official.size(), padded.size());
  EXPECT_NE(official, padded);
  EXPECT_EQ(encode({&longer}), encode({&longer}, ShortClipPadding::kTransformers));
}

// A pass that pauses wherever it can, with another pass in every pause.
TEST_P(AudioEncoderTest, SlicesGiveTheBitsOfTheWholePass) {
  const LogMelSpectrogram recording = synthetic_features(128, 1630);
  const std::vector<float> expected = encode({&recording});
  const AudioFeatures features{.n_mels = 128, .n_frames = recording.n_frames, .host = recording.values.data()};
  AudioEncoder::Pass pass{.windows = encoder_.cut_windows({&features, 1}, ShortClipPadding::kOfficial)};
  ASSERT_EQ(pass.windows.size(), 3U);
  EncoderWorkspace workspace;
  DeviceTensor out;
  out.resize(*backend_, {static_cast<std::int64_t>(expected.size()) / 40, 40});
  int n_slices = 1;
  while (!encoder_.encode_slice(pass, workspace, out.view(), [] { return true; })) {
    encode({&recording});
    ++n_slices;
  }
  EXPECT_GT(n_slices, 9) << "chunks two by two, and layers";
  std::vector<float> values(expected.size());
  backend_->download(out.view(), values.data());
  EXPECT_EQ(values, expected);
}

TEST_P(AudioEncoderTest, MoreTokensThanOneGroup) {
  const LogMelSpectrogram recording = synthetic_features(128, 9000);  // 1,170 tokens in 12 windows
  const LogMelSpectrogram tail = slice(recording, 8800, 200);
  const std::vector<float> all = encode({&recording}), last = encode({&tail});
  ASSERT_EQ(all.size(), 1170U * 40U);
  EXPECT_EQ(std::vector<float>(all.end() - static_cast<std::ptrdiff_t>(last.size()), all.end()), last);
  for (const float value : all) ASSERT_TRUE(std::isfinite(value));
}

TEST_P(AudioEncoderTest, RowsThatHoldNothingChangeNothing) {
  const auto reference = make_backend({.backend = BackendKind::kReference});
  const AudioEncoder expected(model_.config.audio, {weights_, *reference, WeightFormat::kStored});
  EncoderWorkspace workspace;
  DeviceTensor out;
  for (const int n_frames : {90, 850, 201}) {  // 12, 111 and 27 rows
    const LogMelSpectrogram recording = synthetic_features(128, n_frames);
    const LogMelSpectrogram* const batch[] = {&recording};
    expected.forward(batch, ShortClipPadding::kOfficial, workspace, out);
    std::vector<float> values(static_cast<std::size_t>(out.view().shape.elements()));
    reference->download(out.view(), values.data());
    const std::vector<float> found = encode({&recording});
    ASSERT_EQ(found.size(), values.size());
    for (std::size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], values[i], 1e-3 * (1 + std::abs(values[i])));
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, AudioEncoderTest, ::testing::Values("reference", "cpu", "padding"));

}  // namespace
}  // namespace qasr
