// How a voice differs from music and machines over three seconds: twelve numbers and a logistic function of them.
//
// Sources: the measures of Scheirer and Slaney, "Construction and evaluation of a robust multifeature speech/music
// discriminator", ICASSP 1997 (level modulation, share of quiet frames, spectral change), and of held tones.
#include <algorithm>
#include <cmath>

#include "audio/voice_activity.h"
#include "audio/voice_model.h"

namespace qasr {
namespace {

constexpr int kMinActive = 40;  // frames; a short word between pauses is not judged
constexpr int kBands = VoiceFrameFeatures::kBands;
constexpr int kLowBands = 6, kHighBands = 13;  // up to about 0.9 kHz; from about 2.9 kHz on

class Moments {
 public:
  void add(double x) {
    ++n_;
    sum_ += x;
    squares_ += x * x;
  }
  double mean() const { return n_ > 0 ? sum_ / n_ : 0; }
  double deviation() const { return n_ > 0 ? std::sqrt(std::max(0.0, squares_ / n_ - mean() * mean())) : 0; }

 private:
  double n_ = 0, sum_ = 0, squares_ = 0;
};

float mean_of(std::span<const float> values) {
  float sum = 0;
  for (float value : values) sum += value;
  return sum / static_cast<float>(values.size());
}

// What changes between 1 and 10 Hz: the mean over 50 ms less the mean over 500 ms.
double modulation_db(std::span<const float> level_db) {
  const int n = static_cast<int>(level_db.size());
  std::vector<double> prefix(1, 0.0);
  for (float value : level_db) prefix.push_back(prefix.back() + value);
  const auto mean_around = [&](int t, int half) {
    const int begin = std::max(0, t - half), end = std::min(n, t + half + 1);
    return (prefix[end] - prefix[begin]) / (end - begin);
  };
  Moments moments;
  for (int t = 0; t < n; ++t) moments.add(mean_around(t, 2) - mean_around(t, 25));
  return moments.deviation();
}

}  // namespace

VoiceStatistics voice_statistics(std::span<const VoiceFrameFeatures* const> frames, std::span<const char> active) {
  VoiceStatistics statistics;
  Moments level, power, low, high, similarity, voicing, slope, change, glide;
  double n_held = 0, n_voiced = 0, n_steady = 0, n_pairs = 0;
  std::vector<float> low_db, mid_db, high_db;
  for (std::size_t t = 0; t < frames.size(); ++t) {
    const VoiceFrameFeatures& frame = *frames[t];
    const float low_level = mean_of(std::span(frame.bands_db).first(kLowBands));
    const float mid_level = mean_of(std::span(frame.bands_db).subspan(kLowBands, kHighBands - kLowBands));
    const float high_level = mean_of(std::span(frame.bands_db).subspan(kHighBands));
    low_db.push_back(low_level);
    mid_db.push_back(mid_level);
    high_db.push_back(high_level);
    power.add(std::pow(10.0, frame.level_db / 10));
    if (!active[t]) continue;
    ++statistics.n_active;
    level.add(frame.level_db);
    similarity.add(frame.tone_similarity);
    n_held += frame.tone_similarity > 0.7f ? 1 : 0;
    voicing.add(frame.voicing);
    n_voiced += frame.voicing > 0.7f ? 1 : 0;
    slope.add(low_level - high_level);
    if (t < 2 || !active[t - 2]) continue;
    const VoiceFrameFeatures& before = *frames[t - 2];
    double sum = 0;
    for (int band = 0; band < kBands; ++band) sum += std::abs(frame.bands_db[band] - before.bands_db[band]);
    change.add(sum / kBands);
    const double octaves = std::abs(frame.pitch_octave - before.pitch_octave);
    if (frame.voicing < 0.7f || before.voicing < 0.7f || octaves > 0.3) continue;
    ++n_pairs;
    n_steady += octaves < 0.005 ? 1 : 0;
    glide.add(octaves);
  }
  double n_quiet = 0;
  for (const VoiceFrameFeatures* frame : frames) {
    n_quiet += std::pow(10.0, frame->level_db / 10) < 0.25 * power.mean() ? 1 : 0;
  }
  const double n_active = std::max(statistics.n_active, 1), n_frames = std::max<std::size_t>(frames.size(), 1);
  statistics.values = {static_cast<float>(n_quiet / n_frames),
                       static_cast<float>(modulation_db(low_db)),
                       static_cast<float>(modulation_db(mid_db)),
                       static_cast<float>(modulation_db(high_db)),
                       static_cast<float>(similarity.mean()),
                       static_cast<float>(n_held / n_active),
                       static_cast<float>(voicing.mean()),
                       static_cast<float>(voicing.deviation()),
                       static_cast<float>(slope.deviation()),
                       static_cast<float>(change.mean()),
                       static_cast<float>(n_steady / std::max(n_pairs, 1.0)),
                       static_cast<float>(n_voiced / n_active)};
  return statistics;
}

double voice_likelihood(const VoiceStatistics& statistics) {
  if (statistics.n_active < kMinActive) return 1;
  double sum = kVoiceModel.bias;
  for (int hidden = 0; hidden < VoiceModel::kHidden; ++hidden) {
    double x = kVoiceModel.hidden_bias[hidden];
    for (int i = 0; i < VoiceStatistics::kCount; ++i) {
      x += kVoiceModel.weights[hidden][i] * (statistics.values[i] - kVoiceModel.mean[i]) / kVoiceModel.deviation[i];
    }
    sum += kVoiceModel.output[hidden] * std::tanh(x);
  }
  return 1 / (1 + std::exp(-sum));
}

}  // namespace qasr
