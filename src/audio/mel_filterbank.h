// Triangular mel filters (Slaney scale, Slaney area normalisation, 0 Hz to half the sample rate) and their product
// with power spectra. Third stage of log-mel: STFT power -> mel energies.
// Source: mel_filter_bank(norm="slaney", mel_scale="slaney") in Hugging Face transformers audio_utils.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace qasr {

double hz_to_mel(double hz) noexcept;
double mel_to_hz(double mel) noexcept;

/// A filter has a few neighbouring non-zero bins (394 of 25,728 weights for 128 filters on 201 bins), so each is kept
/// as one band.
class MelFilterbank {
 public:
  /// Frames computed at once: the inner loops run over this many neighbouring floats, whatever the filter's width.
  static constexpr int kBlockFrames = 16;

  /// Filters over bins k * sample_rate / fft_samples, k = 0 .. fft_samples / 2; f64 arithmetic, f32 weights.
  MelFilterbank(int sample_rate, int n_mels, int fft_samples);

  int n_mels() const noexcept { return static_cast<int>(bands_.size()); }
  int n_bins() const noexcept { return n_bins_; }
  /// Weights that are not zero.
  std::size_t n_weights() const noexcept { return weights_.size(); }
  float weight(int bin, int mel) const noexcept;
  /// n_mels + 2 corner frequencies in Hz: filter m rises from [m] to [m + 1] and falls to [m + 2].
  std::span<const double> corners_hz() const noexcept { return corners_hz_; }

  /// energies[m][f] = sum over k of weight(k, m) * power[k][f].
  ///
  ///   power     [n_bins, kBlockFrames]  f32
  ///   energies  [n_mels, kBlockFrames]  f32
  ///
  /// Numerics: f32 accumulation, ascending k.
  void apply(const float* power, float* energies) const noexcept;

 private:
  struct Band {
    int first_bin = 0;
    int n_bins = 0;
    std::size_t first_weight = 0;  // index into weights_
  };
  int n_bins_;
  std::vector<double> corners_hz_;
  std::vector<Band> bands_;     // [n_mels]
  std::vector<float> weights_;  // bands one after the other
};

}  // namespace qasr
