// Short-time Fourier transform: samples -> power spectra of overlapping, Hann-weighted frames.
// Second stage of log-mel. Source: torch.stft(center=True, pad_mode="reflect") as WhisperFeatureExtractor calls it.
#pragma once

#include <complex>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

struct kiss_fftr_state;

namespace qasr {

/// Where position `index` of a signal of `n` samples extended by reflection at both ends lies in [0, n): the edge
/// sample is not repeated (x[-k] = x[k], x[n-1+k] = x[n-1-k]); signals shorter than the extension are reflected again
/// and again. n >= 1.
std::size_t reflect_index(std::ptrdiff_t index, std::size_t n) noexcept;

/// w[i] = 0.5 - 0.5 cos(2 pi i / n), computed in f64.
std::vector<float> periodic_hann(int n);

/// Frame t is centred on sample t * hop: it covers [t * hop - window/2, t * hop + window/2).
class Stft {
 public:
  /// What one running transform writes to. KissFFT's plan holds a work buffer, so each thread needs its own.
  class Scratch {
   public:
    explicit Scratch(const Stft& stft);

   private:
    friend class Stft;
    struct PlanDeleter {
      void operator()(kiss_fftr_state* plan) const noexcept;
    };
    std::unique_ptr<kiss_fftr_state, PlanDeleter> plan_;
    std::vector<float> frame_;                   // [fft_samples], zeros behind the window
    std::vector<std::complex<float>> spectrum_;  // [n_bins]
  };

  /// @param fft_samples  transform length, even, >= window_samples; the rest is zero padding behind the window
  Stft(int window_samples, int hop_samples, int fft_samples);

  int fft_samples() const noexcept { return fft_samples_; }
  int n_bins() const noexcept { return fft_samples_ / 2 + 1; }

  std::span<const float> window() const noexcept { return window_; }

  /// power[k * stride] = |sum over i of window[i] x[frame * hop - window/2 + i] exp(-2 pi j k i / fft_samples)|^2 for
  /// every bin k, without any scaling.
  ///
  ///   samples  [n_samples], n_samples >= 1, extended by reflection
  ///   power    n_bins values, `stride` floats apart
  void power(std::span<const float> samples, int frame, Scratch& scratch, float* power,
             std::size_t stride) const noexcept;

 private:
  void load_frame(std::span<const float> samples, int frame, float* out) const noexcept;

  int hop_samples_;
  int fft_samples_;
  std::vector<float> window_;  // [window_samples]
};

}  // namespace qasr
