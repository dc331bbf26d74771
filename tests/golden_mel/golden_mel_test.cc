// Log-mel of signals made by rule against WhisperFeatureExtractor of Hugging Face transformers, frame by frame.
// tests/golden/mel is written by tools/golden/export_mel.py, which makes the same signals.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "audio/log_mel.h"
#include "qasr/audio.h"
#include "support/test_signals.h"
#include "weights/safetensors.h"

namespace qasr {
namespace {

// The extractor computes in f32: its own torch and NumPy implementations differ by up to 5e-5 (golden.json).
constexpr double kMelTolerance = 1e-4;
constexpr double kMeanTolerance = 1e-6;

const std::string kGoldenDir = QASR_SOURCE_DIR "/tests/golden/mel/";

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<float> make_signal(const nlohmann::json& golden) {
  const std::string signal = golden["signal"];
  const std::size_t n_samples = golden["n_samples"];
  std::vector<float> samples;
  if (signal == "speech") samples = load_audio(QASR_SOURCE_DIR "/tests/data/audio/speech.wav").samples;
  if (signal == "noise") samples = noise_signal(n_samples);
  if (signal == "square") samples = square_signal(n_samples);
  if (signal == "tones") samples = tones_signal(n_samples);
  if (signal == "silence") samples.resize(n_samples);
  EXPECT_EQ(samples.size(), n_samples) << signal;
  samples.resize(golden["padded_samples"]);
  return samples;
}

// Largest difference over the frames that are stored.
double largest_difference(const LogMelSpectrogram& found, const StoredTensor& expected, int frame_step) {
  const std::int64_t n_columns = expected.dims[1];
  std::vector<float> values(expected.bytes.size() / sizeof(float));
  std::memcpy(values.data(), expected.bytes.data(), expected.bytes.size());
  double largest = 0;
  for (int mel = 0; mel < found.n_mels; ++mel) {
    for (std::int64_t column = 0; column < n_columns; ++column) {
      const float value = found.values[static_cast<std::size_t>(mel * found.n_frames + column * frame_step)];
      largest = std::max(largest, std::abs(static_cast<double>(value) - values[mel * n_columns + column]));
    }
  }
  return largest;
}

TEST(GoldenMel, EverySpectrogramAgrees) {
  const nlohmann::json golden = nlohmann::json::parse(read_file(kGoldenDir + "golden.json"));
  const std::string bytes = read_file(kGoldenDir + "mel.safetensors");
  const std::vector<StoredTensor> tensors = read_safetensors(std::as_bytes(std::span(bytes)), "mel.safetensors");
  ASSERT_EQ(tensors.size(), golden["cases"].size());
  ASSERT_GE(tensors.size(), 12u);

  for (const nlohmann::json& expected : golden["cases"]) {
    const std::string name = expected["name"];
    SCOPED_TRACE(name);
    const auto tensor =
        std::find_if(tensors.begin(), tensors.end(), [&](const StoredTensor& t) { return t.name == name; });
    ASSERT_NE(tensor, tensors.end());
    LogMelSpectrogram found;
    LogMel({.n_mels = expected["n_mels"], .fft_samples = expected["fft_samples"]})
        .compute(make_signal(expected), found);
    const int frame_step = expected["frame_step"];
    ASSERT_EQ(found.n_mels, expected["n_mels"]);
    ASSERT_EQ(found.n_frames, expected["n_frames"]);
    ASSERT_EQ(tensor->dims, (std::vector<std::int64_t>{found.n_mels, (found.n_frames + frame_step - 1) / frame_step}));

    const double difference = largest_difference(found, *tensor, frame_step);
    EXPECT_LE(difference, kMelTolerance);
    double mean = 0, square = 0;
    for (float y : found.values) mean += y / static_cast<double>(found.values.size());
    for (float y : found.values) square += (y - mean) * (y - mean) / static_cast<double>(found.values.size());
    EXPECT_NEAR(mean, expected["mean"], kMeanTolerance);
    EXPECT_NEAR(std::sqrt(square), expected["std"], kMeanTolerance);
    std::cout << "  " << name << ": " << difference << "\n";
  }
}

}  // namespace
}  // namespace qasr
