// Slaney mel filters: corners equally spaced on the mel scale, triangles of equal area (2 / width in Hz).
#include "audio/mel_filterbank.h"

#include <algorithm>
#include <cmath>

namespace qasr {
namespace {

// The Slaney scale: linear up to 1 kHz (15 mel), then 27 steps per factor of 6.4.
constexpr double kHzPerMel = 200.0 / 3.0;
constexpr double kLogStartHz = 1000.0;
constexpr double kLogStartMel = 15.0;
const double kMelPerLog = 27.0 / std::log(6.4);

double triangle(double hz, double left, double centre, double right) {
  const double rising = (hz - left) / (centre - left);
  const double falling = (right - hz) / (right - centre);
  return std::max(0.0, std::min(rising, falling)) * 2.0 / (right - left);
}

}  // namespace

double hz_to_mel(double hz) noexcept {
  return hz < kLogStartHz ? hz / kHzPerMel : kLogStartMel + kMelPerLog * std::log(hz / kLogStartHz);
}

double mel_to_hz(double mel) noexcept {
  return mel < kLogStartMel ? mel * kHzPerMel : kLogStartHz * std::exp((mel - kLogStartMel) / kMelPerLog);
}

MelFilterbank::MelFilterbank(int sample_rate, int n_mels, int fft_samples)
    : n_bins_(fft_samples / 2 + 1), corners_hz_(n_mels + 2), bands_(n_mels) {
  const double top_mel = hz_to_mel(sample_rate / 2.0);
  for (int corner = 0; corner < n_mels + 2; ++corner) {
    corners_hz_[corner] = mel_to_hz(top_mel * corner / (n_mels + 1));
  }
  for (int mel = 0; mel < n_mels; ++mel) {
    Band& band = bands_[mel];
    band.first_weight = weights_.size();
    for (int bin = 0; bin < n_bins_; ++bin) {
      const double hz = static_cast<double>(sample_rate) * bin / fft_samples;
      const auto weight =
          static_cast<float>(triangle(hz, corners_hz_[mel], corners_hz_[mel + 1], corners_hz_[mel + 2]));
      if (weight == 0.0f) continue;
      if (band.n_bins == 0) band.first_bin = bin;
      weights_.push_back(weight);
      ++band.n_bins;
    }
  }
}

float MelFilterbank::weight(int bin, int mel) const noexcept {
  const Band& band = bands_[mel];
  const int offset = bin - band.first_bin;
  return offset >= 0 && offset < band.n_bins ? weights_[band.first_weight + offset] : 0.0f;
}

void MelFilterbank::apply(const float* power, float* energies) const noexcept {
  for (const Band& band : bands_) {
    const float* weights = weights_.data() + band.first_weight;
    const float* rows = power + static_cast<std::size_t>(band.first_bin) * kBlockFrames;
    float sums[kBlockFrames] = {};
    for (int k = 0; k < band.n_bins; ++k) {
      const float* row = rows + static_cast<std::size_t>(k) * kBlockFrames;
      for (int frame = 0; frame < kBlockFrames; ++frame) sums[frame] += weights[k] * row[frame];
    }
    std::copy_n(sums, kBlockFrames, energies);
    energies += kBlockFrames;
  }
}

}  // namespace qasr
