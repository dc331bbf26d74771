// Signals made by rule, the same as in tools/qasr_tools/features.py and tools/golden/export_mel.py.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <vector>

namespace qasr {

/// u_n = s_{n+1} / 2^32 - 0.5 with s_0 = 1, s_{n+1} = 1664525 s_n + 1013904223 mod 2^32: white noise in [-0.5, 0.5).
class LcgNoise {
 public:
  double next() noexcept {
    state_ = state_ * 1664525u + 1013904223u;
    return state_ * 0x1p-32 - 0.5;
  }

 private:
  std::uint32_t state_ = 1;
};

/// S(n): tones of 440 and 1870 Hz and a little noise, at 16 kHz.
inline std::vector<float> tones_signal(std::size_t n_samples) {
  LcgNoise noise;
  std::vector<float> samples(n_samples);
  for (std::size_t n = 0; n < n_samples; ++n) {
    const double phase = 2.0 * std::numbers::pi * static_cast<double>(n) / 16000.0;
    samples[n] = static_cast<float>(0.5 * std::sin(440 * phase) + 0.25 * std::sin(1870 * phase) + 0.05 * noise.next());
  }
  return samples;
}

inline std::vector<float> noise_signal(std::size_t n_samples, double amplitude = 0.5) {
  LcgNoise noise;
  std::vector<float> samples(n_samples);
  for (float& x : samples) x = static_cast<float>(amplitude * noise.next());
  return samples;
}

/// 300 Hz at full scale, as a clipped recording has it, at 16 kHz.
inline std::vector<float> square_signal(std::size_t n_samples) {
  std::vector<float> samples(n_samples);
  for (std::size_t n = 0; n < n_samples; ++n) samples[n] = (2 * n + 1) * 300 / 16000 % 2 == 0 ? 1.0f : -1.0f;
  return samples;
}

inline std::vector<float> sine_signal(std::size_t n_samples, double frequency_hz, int sample_rate, double amplitude) {
  std::vector<float> samples(n_samples);
  for (std::size_t n = 0; n < n_samples; ++n) {
    const double time_s = static_cast<double>(n) / sample_rate;
    samples[n] = static_cast<float>(amplitude * std::sin(2.0 * std::numbers::pi * frequency_hz * time_s));
  }
  return samples;
}

}  // namespace qasr
