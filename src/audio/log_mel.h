// Log-mel spectrogram of Whisper and Qwen3-ASR: samples -> [n_mels, n_frames].
// Source: WhisperFeatureExtractor in Hugging Face transformers.
#pragma once

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
  /// bins at k * sample_rate / 512 (what some ports do; docs/model.md has what it changes).
  int fft_samples = 400;
};

/// [n_mels, n_frames] row-major.
struct LogMelSpectrogram {
  int n_mels = 0;
  int n_frames = 0;
  std::vector<float> values;
};

/// Plans, window and filterbank are made once; compute() may run on several threads at once.
class LogMel {
 public:
  explicit LogMel(const LogMelConfig& config = {});
  ~LogMel();
  LogMel(LogMel&&) noexcept;
  LogMel& operator=(LogMel&&) noexcept;

  /// floor(n_samples / hop).
  int n_frames(std::size_t n_samples) const;

  /// n_frames(samples.size()) frames; reflect padding at both ends; the maximum for the 8-decade clamp is over the kept
  /// frames. Reuses `out`'s memory. Up to window/2 samples cannot be reflected as the reference does: positions
  /// outside are then read as zero.
  void compute(std::span<const float> samples, LogMelSpectrogram& out) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace qasr
