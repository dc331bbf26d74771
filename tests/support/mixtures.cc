#include "support/mixtures.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace qasr {
namespace {

constexpr double kRate = 16000;
constexpr double kTurn = 2 * std::numbers::pi;

void normalise(std::vector<float>& samples) {
  const double gain = std::pow(10.0, (-20 - level_db(samples)) / 20);
  for (float& x : samples) x = static_cast<float>(x * gain);
}

struct Voice {
  std::array<double, 8> harmonics{};
  double decay_s = 1, vibrato = 0, attack_s = 0.01;
};

Voice make_voice(MixtureRandom& random) {
  Voice voice;
  const double fall = random.between(0.8, 2.2);
  for (int h = 0; h < 8; ++h) {
    voice.harmonics[h] =
        random.between(0.3, 1) / std::pow(h + 1, fall) * (h % 2 == 1 && random.uniform() < 0.3 ? 0.1 : 1);
  }
  voice.decay_s = random.between(0.15, 2.5);
  voice.vibrato = random.uniform() < 0.3 ? random.between(0.002, 0.006) : 0;
  voice.attack_s = random.uniform() < 0.3 ? random.between(0.05, 0.2) : 0.005;
  return voice;
}

void play(std::vector<float>& out, const Voice& voice, double start_s, double length_s, double hz, double gain) {
  const auto begin = static_cast<std::size_t>(start_s * kRate);
  const auto end = std::min(out.size(), static_cast<std::size_t>((start_s + length_s + 0.1) * kRate));
  double phase = 0;
  for (std::size_t t = begin; t < end; ++t) {
    const double s = (t - begin) / kRate;
    phase += kTurn * hz / kRate * (1 + voice.vibrato * std::sin(kTurn * 5.5 * s));
    double value = 0;
    for (int h = 0; h < 8 && hz * (h + 1) < 7000; ++h) value += voice.harmonics[h] * std::sin(phase * (h + 1));
    const double release = s > length_s ? std::max(0.0, 1 - (s - length_s) / 0.1) : 1;
    out[t] +=
        static_cast<float>(gain * value * std::min(1.0, s / voice.attack_s) * std::exp(-s / voice.decay_s) * release);
  }
}

void drum(std::vector<float>& out, double start_s, bool deep, double gain, MixtureRandom& random) {
  const auto begin = static_cast<std::size_t>(start_s * kRate);
  const auto end = std::min(out.size(), begin + static_cast<std::size_t>((deep ? 0.2 : 0.08) * kRate));
  double low = 0;
  for (std::size_t t = begin; t < end; ++t) {
    const double s = (t - begin) / kRate, noise = random.between(-1, 1);
    low += 0.5 * (noise - low);
    const double value =
        deep ? std::sin(kTurn * 60 * s + 8 * std::exp(-s * 40)) * std::exp(-s * 18) : (noise - low) * std::exp(-s * 60);
    out[t] += static_cast<float>(gain * value);
  }
}

}  // namespace

double MixtureRandom::uniform() {
  state_ ^= state_ << 13;
  state_ ^= state_ >> 17;
  state_ ^= state_ << 5;
  return state_ * 0x1p-32;
}

double level_db(std::span<const float> samples) {
  double sum = 0;
  for (float x : samples) sum += static_cast<double>(x) * x;
  return 10 * std::log10(sum / std::max<std::size_t>(samples.size(), 1) + 1e-12);
}

std::vector<float> make_noise(const std::string& kind, std::size_t n_samples, std::uint32_t seed) {
  MixtureRandom random(seed);
  std::vector<float> out(n_samples);
  std::array<double, 5> pink{};
  double fan = 0, fan_speed = 0, click = 0;
  for (std::size_t t = 0; t < n_samples; ++t) {
    const double s = t / kRate, white = random.between(-1, 1);
    if (kind == "white") {
      out[t] = static_cast<float>(white);
    } else if (kind == "pink") {  // sum of one-pole filters an octave and more apart
      double sum = 0;
      for (std::size_t pole = 0; pole < pink.size(); ++pole) {
        pink[pole] += std::pow(0.25, pole) * (white - pink[pole]);
        sum += pink[pole] * std::pow(2.0, pole);
      }
      out[t] = static_cast<float>(sum);
    } else if (kind == "hum") {
      for (int h = 1; h <= 9; h += 2) out[t] += static_cast<float>(std::sin(kTurn * 50 * h * s) / h);
      out[t] += static_cast<float>(0.02 * white);
    } else if (kind == "fan") {
      fan_speed += 0.15 * (white - fan_speed);
      fan += 0.3 * (fan_speed - fan);
      out[t] = static_cast<float>(fan * (1 + 0.3 * std::sin(kTurn * 0.7 * s)));
    } else if (kind == "clicks") {
      if (random.uniform() < 3 / kRate) click = random.between(0.3, 1);
      click *= 0.997;
      out[t] = static_cast<float>(click * white + 0.003 * white);
    } else {
      return {};
    }
  }
  normalise(out);
  return out;
}

std::vector<float> make_music(std::size_t n_samples, std::uint32_t seed) {
  MixtureRandom random(seed);
  std::vector<float> out(n_samples);
  constexpr std::array<int, 7> kScale = {0, 2, 4, 5, 7, 9, 11};
  const double beat_s = 60 / random.between(70, 150), key_hz = 110 * std::pow(2, random.below(12) / 12.0);
  const auto degree_hz = [&](int degree) { return key_hz * std::pow(2, degree / 7 + kScale[degree % 7] / 12.0); };
  const Voice chords = make_voice(random), bass = make_voice(random), melody = make_voice(random);
  const double drums = random.uniform() < 0.7 ? random.between(0.1, 0.8) : 0;
  const double melody_gain = random.uniform() < 0.8 ? random.between(0.2, 0.8) : 0;
  const double length_s = n_samples / kRate;
  int bar = 0, note = 7;
  for (double start_s = 0; start_s < length_s; start_s += 4 * beat_s, ++bar) {
    const int root = std::array{0, 4, 5, 3, 0, 5, 1, 4}[static_cast<std::size_t>((bar + seed) % 8)];
    for (int third = 0; third < 3; ++third) {
      play(out, chords, start_s, 4 * beat_s, degree_hz(root + 2 * third), 0.25);
      if (chords.decay_s < 0.6) play(out, chords, start_s + 2 * beat_s, 2 * beat_s, degree_hz(root + 2 * third), 0.25);
    }
    for (int beat = 0; beat < 4; ++beat) {
      const double at_s = start_s + beat * beat_s;
      play(out, bass, at_s, beat_s * 0.9, degree_hz(root) / 2, 0.4);
      if (drums > 0) drum(out, at_s, beat % 2 == 0, drums, random);
      if (drums > 0) drum(out, at_s + beat_s / 2, false, drums * 0.5, random);
      const int n_notes = 1 + random.below(2);
      for (int n = 0; n < n_notes && melody_gain > 0; ++n) {
        note = std::clamp(note + random.below(5) - 2, 4, 18);
        play(out, melody, at_s + n * beat_s / n_notes, beat_s / n_notes * 0.95, degree_hz(note), melody_gain);
      }
    }
  }
  normalise(out);
  return out;
}

void mix_into(std::span<float> recording, std::span<const float> part, std::size_t first_sample, double gain_db) {
  const double gain = std::pow(10.0, gain_db / 20);
  for (std::size_t t = 0; t < part.size() && first_sample + t < recording.size(); ++t) {
    recording[first_sample + t] += static_cast<float>(gain * part[t]);
  }
}

}  // namespace qasr
