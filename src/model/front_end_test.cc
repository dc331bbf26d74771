// Features of the front end on every backend against LogMel, and the pieces the encoder cuts out of them.
#include "model/front_end.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "backend/registry.h"
#include "support/test_signals.h"

namespace qasr {
namespace {

// Two f32 transforms of 400 samples differ by about 1e-6 of the frame's largest bin; in a valley at the edge of the
// 80 dB that are kept that is a hundredth of the energy there, 1e-3 of its scaled logarithm.
constexpr double kLargestDifference = 2e-3, kMeanDifference = 1e-5;

std::unique_ptr<Backend> backend_named(const std::string& name) {
  if (name == "cpu") return make_cpu_backend(1, "");
  return cuda_problem().empty() ? make_cuda_backend(0) : nullptr;
}

class FrontEndTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    backend_ = backend_named(GetParam());
    if (backend_ == nullptr) GTEST_SKIP() << cuda_problem();
  }
  std::vector<float> values_of(const AudioFeatures& features) {
    const auto n = static_cast<std::size_t>(features.n_mels) * static_cast<std::size_t>(features.n_frames);
    if (n == 0) return {};
    if (features.host != nullptr) return {features.host, features.host + n};
    std::vector<float> all(static_cast<std::size_t>(features.tensor.shape.elements()));
    backend_->download(features.tensor, all.data());
    return {all.begin() + features.begin, all.begin() + features.begin + static_cast<std::ptrdiff_t>(n)};
  }
  std::unique_ptr<Backend> backend_;
};

TEST_P(FrontEndTest, FeaturesAreThoseOfLogMel) {
  const LogMel log_mel;
  const FrontEnd front_end(log_mel, *backend_);
  const std::size_t lengths[] = {16000, 1, 159, 160, 200, 48077, 0, 401, 8000};
  std::vector<std::vector<float>> recordings;
  for (std::size_t length : lengths) {
    recordings.push_back(tones_signal(length));
    for (float& sample : recordings.back()) sample /= static_cast<float>(recordings.size());  // other maxima
  }
  const std::vector<std::span<const float>> views(recordings.begin(), recordings.end());
  FrontEndWorkspace workspace;
  for (int round = 0; round < 2; ++round) {  // the second reuses the memory
    const std::span<const AudioFeatures> features = front_end.compute(views, workspace);
    ASSERT_EQ(features.size(), views.size());
    for (std::size_t r = 0; r < views.size(); ++r) {
      LogMelSpectrogram expected;
      log_mel.compute(views[r], expected);
      ASSERT_EQ(features[r].n_frames, expected.n_frames);
      const std::vector<float> found = values_of(features[r]);
      ASSERT_EQ(found.size(), expected.values.size());
      double largest = 0, sum = 0;
      for (std::size_t i = 0; i < found.size(); ++i) {
        const double difference = std::abs(static_cast<double>(found[i]) - expected.values[i]);
        if (!(difference <= largest)) largest = difference;
        sum += difference;
      }
      EXPECT_LE(largest, kLargestDifference) << lengths[r] << " samples";
      EXPECT_LE(sum, kMeanDifference * static_cast<double>(found.size())) << lengths[r] << " samples";
    }
  }
}

TEST_P(FrontEndTest, CutsColumnsAndPadsThem) {
  std::vector<float> values(200);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i + 1);
  DeviceTensor x, y;
  backend_->upload(values.data(), x.resize(*backend_, {200}));
  const ColumnRange pieces[] = {{3, 20, 5}, {100, 7, 1}, {0, 10, 0}, {170, 10, 6}};
  backend_->cut_columns(x.view(), pieces, y.resize(*backend_, {4, 3, 6}));
  std::vector<float> found(72);
  backend_->download(y.view(), found.data());
  std::size_t at = 0;
  for (const ColumnRange& piece : pieces) {
    for (int row = 0; row < 3; ++row) {
      for (int column = 0; column < 6; ++column, ++at) {
        const int index = piece.begin + row * piece.row_stride + column;
        EXPECT_EQ(found[at], column < piece.n_columns ? static_cast<float>(index + 1) : 0.0f) << at;
      }
    }
  }
  const ColumnRange outside[] = {{195, 1, 4}};
  EXPECT_THROW(backend_->cut_columns(x.view(), outside, y.resize(*backend_, {1, 3, 6})), Error);
}

INSTANTIATE_TEST_SUITE_P(Backends, FrontEndTest, ::testing::Values("cpu", "cuda"),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace qasr
