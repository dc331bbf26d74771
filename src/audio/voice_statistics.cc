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

// What changes between 1 and 10 Hz: the mean over 50 ms less the mean over 500 ms.
double modulation_db(std::span<const float> level_db) {
  const int n = static_cast<int>(level_db.size());
  std::vector<double> prefix(1, 0.0);
  prefix.reserve(level_db.size() + 1);
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
  // Silence around is left out: where something begins or ends says nothing about what it is.
  const auto first = std::find(active.begin(), active.end(), 1),
             last = std::find(active.rbegin(), active.rend(), 1).base();
  const auto n_before = static_cast<std::size_t>(first - active.begin());
  const auto n_between = static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, last - first));
  frames = frames.subspan(n_before, n_between);
  active = active.subspan(n_before, n_between);
  Moments power, similarity, voicing, slope, change;
  double n_held = 0, n_voiced = 0, n_steady = 0, n_pairs = 0;
  std::array<std::vector<float>, 3> thirds_db;
  for (std::size_t t = 0; t < frames.size(); ++t) {
    const VoiceFrameFeatures& frame = *frames[t];
    for (std::size_t third = 0; third < 3; ++third) thirds_db[third].push_back(frame.thirds_db[third]);
    power.add(frame.power);
    if (!active[t]) continue;
    ++statistics.n_active;
    similarity.add(frame.tone_similarity);
    n_held += frame.tone_similarity > 0.7f ? 1 : 0;
    voicing.add(frame.voicing);
    n_voiced += frame.voicing > 0.7f ? 1 : 0;
    slope.add(frame.thirds_db[0] - frame.thirds_db[2]);
    if (t < 2 || !active[t - 2]) continue;
    const VoiceFrameFeatures& before = *frames[t - 2];
    change.add(frame.change_db);
    const double octaves = std::abs(frame.pitch_octave - before.pitch_octave);
    if (frame.voicing < 0.7f || before.voicing < 0.7f || octaves > 0.3) continue;
    ++n_pairs;
    n_steady += octaves < 0.005 ? 1 : 0;
  }
  double n_quiet = 0;
  for (const VoiceFrameFeatures* frame : frames) {
    n_quiet += frame->power < 0.25 * power.mean() ? 1 : 0;
  }
  const double n_active = std::max(statistics.n_active, 1), n_frames = std::max<std::size_t>(frames.size(), 1);
  statistics.values = {static_cast<float>(n_quiet / n_frames),
                       static_cast<float>(modulation_db(thirds_db[0])),
                       static_cast<float>(modulation_db(thirds_db[1])),
                       static_cast<float>(modulation_db(thirds_db[2])),
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
