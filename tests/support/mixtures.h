// Recordings made of parts, with labels: speech from files, silence, noise, music. For the voice activity detector and
// for long recordings; tools/make_mixture.cc writes them to files.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace qasr {

/// xorshift32, so that mixtures are the same everywhere.
class MixtureRandom {
 public:
  explicit MixtureRandom(std::uint32_t seed) : state_(seed * 2654435761u + 1) {}
  /// Uniform in [0, 1).
  double uniform();
  /// Uniform in [low, high).
  double between(double low, double high) { return low + (high - low) * uniform(); }
  int below(int limit) { return static_cast<int>(uniform() * limit); }

 private:
  std::uint32_t state_;
};

/// "white", "pink", "hum" (mains with harmonics), "fan" (band noise, slowly modulated), "clicks" (keys, doors).
/// @return RMS of 0.1; empty for an unknown kind
std::vector<float> make_noise(const std::string& kind, std::size_t n_samples, std::uint32_t seed);

/// Chords, bass, a melody and drums; tempo, key, instruments and their balance depend on the seed. RMS of 0.1.
std::vector<float> make_music(std::size_t n_samples, std::uint32_t seed);

/// Adds `part` at `first_sample` with a gain in dB; what lies behind the end is left out.
void mix_into(std::span<float> recording, std::span<const float> part, std::size_t first_sample, double gain_db);

double level_db(std::span<const float> samples);

}  // namespace qasr
