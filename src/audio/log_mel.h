// Log-mel spectrogram of Whisper and Qwen3-ASR: samples -> [n_mels, n_frames].
// Step 5 of the walk in docs/architecture.md; stages: stft, mel_filterbank, log10 with clamp and scale.
// Source: WhisperFeatureExtractor in Hugging Face transformers.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace qasr {

struct LogMelConfig {
  int sample_rate = 16000;
  int n_mels = 128;
  int window_samples = 400;  ///< periodic Hann
  int hop_samples = 160;
  /// Length of the transform. 400 is the official one; 512 zero-pads each windowed frame and puts the filterbank's
  /// bins at k * sample_rate / 512 (what some ports do; docs/model.md has what it changes). The power is that of the
  /// mathematical transform in both cases.
  int fft_samples = 400;
};

/// [n_mels, n_frames] row-major.
struct LogMelSpectrogram {
  int n_mels = 0;
  int n_frames = 0;
  std::vector<float> values;
};

/// Window and filterbank are made once and FFT plans are kept for the next call; compute() may run on several threads
/// at once (each call borrows one set of work buffers from a pool, which grows to the most calls that ever overlapped).
class LogMel {
 public:
  /// @throws Error kInvalidArgument  a size <= 0, an odd window or transform, a transform shorter than the window
  explicit LogMel(const LogMelConfig& config = {});
  ~LogMel();
  LogMel(LogMel&&) noexcept;
  LogMel& operator=(LogMel&&) noexcept;

  const LogMelConfig& config() const;
  /// [window_samples]
  std::vector<float> window() const;
  /// [n_mels, fft_samples / 2 + 1]: weight of each bin's power in each filter.
  std::vector<float> filterbank() const;

  /// floor(n_samples / hop).
  int n_frames(std::size_t n_samples) const;

  /// L[m, t] = log10(max(energy[m, t], 1e-10)); values[m, t] = (max(L[m, t], max of L - 8) + 4) / 4.
  ///
  ///   samples  [n_samples] finite f32; any length
  ///   out      [n_mels, n_frames(n_samples)]; its memory is reused
  ///
  /// The maximum is over the kept frames only: the frame centred on the end of the signal is neither kept nor counted.
  /// Both ends are extended by reflection. Up to window/2 samples are reflected repeatedly, as the extractor's NumPy
  /// implementation does; its torch implementation refuses them.
  void compute(std::span<const float> samples, LogMelSpectrogram& out) const;

  /// The logarithms L[m, t] of frames t >= first_frame, neither clamped nor scaled: what stays the same when the signal
  /// goes on, for all frames with hop * t + window / 2 <= n_samples.
  ///   out  [n_mels, n_frames(n_samples) - first_frame], columns from first_frame on
  void compute_logs(std::span<const float> samples, int first_frame, LogMelSpectrogram& out) const;
  /// What compute() makes of logarithms: values = (max(values, floor) + 4) / 4, in place.
  ///   floor  clamp_floor(max of L over the kept frames of the whole signal)
  static void clamp_and_scale(std::span<float> values, float floor) noexcept;
  static float clamp_floor(float maximum) noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace qasr
