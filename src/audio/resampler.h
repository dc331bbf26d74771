// Mono f32 at any rate -> 16 kHz, through libswresample. Last stage of decoding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "audio/ffmpeg_handles.h"

namespace qasr {

/// A band-limited polyphase filter: Kaiser window with 118 dB of stop band. From rates above 16 kHz, flat to 7.3 kHz
/// and closed from 8.0 kHz on, so nothing that folds back can be heard; from rates below, flat to 91 % of half the
/// input rate. resampler_test.cc measures both. At 16 kHz samples pass unchanged.
///
/// Output sample n is at the time of input sample n * input_rate / 16000 (no delay), and the whole signal gives
/// ceil(n_input * 16000 / input_rate) samples.
class Resampler {
 public:
  explicit Resampler(int input_rate);

  int input_rate() const noexcept { return input_rate_; }
  /// Appends what can be computed so far.
  void push(std::span<const float> samples, std::vector<float>& out);
  /// Appends the rest. Nothing may be pushed afterwards.
  void finish(std::vector<float>& out);

 private:
  void convert(const float* samples, int n_samples, std::vector<float>& out);

  int input_rate_;
  FfmpegPtr<SwrContext> swr_;  // null at 16 kHz
  std::uint64_t n_input_ = 0;
  std::uint64_t n_output_ = 0;
};

}  // namespace qasr
