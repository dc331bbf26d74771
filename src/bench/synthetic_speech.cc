#include "bench/synthetic_speech.h"

#include <cmath>
#include <cstdint>
#include <numbers>

#include "qasr/audio.h"

namespace qasr::bench {

std::vector<float> synthetic_speech(std::size_t n_samples) {
  std::vector<float> samples(n_samples);
  std::uint32_t noise = 1;
  for (std::size_t n = 0; n < n_samples; ++n) {
    const double time_s = static_cast<double>(n) / kSampleRate;
    const double phase = 2 * std::numbers::pi * time_s;
    const double syllables = 0.5 - 0.5 * std::cos(4 * phase);
    noise = noise * 1664525U + 1013904223U;
    const double tones = std::sin(140 * phase) + 0.5 * std::sin(700 * phase) + 0.25 * std::sin(2300 * phase);
    samples[n] = static_cast<float>(0.3 * syllables * tones + 0.02 * (noise * 0x1p-32 - 0.5));
  }
  return samples;
}

}  // namespace qasr::bench
