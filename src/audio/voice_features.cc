#include "audio/voice_features.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "audio/mel_filterbank.h"
#include "qasr/audio.h"

namespace qasr {
namespace {

constexpr int kHopSamples = 160;
constexpr int kWindow = 512;                       // 32 ms
constexpr int kFineWindow = 1024;                  // 64 ms: bins of 15.6 Hz separate the tones of music
constexpr int kFineEvery = 4;                      // frames: 40 ms
constexpr int kPastSamples = kFineWindow / 2 - kHopSamples / 2;  // samples before a frame's beginning that its windows reach
constexpr int kNeeded = kPastSamples + kHopSamples / 2 + kFineWindow / 2;  // from the buffer's beginning to the last window's end
constexpr double kLowHz = 100, kHighHz = 7400;
constexpr int kPitchStep = 4, kMinLag = 10, kMaxLag = 60;  // at 4 kHz: 400 to 66 Hz
constexpr int kPitchSamples = 160;                         // at 4 kHz: 40 ms
constexpr float kMinPitchEnergy = 1e-8f;                   // sum of squares; less is silence
constexpr int kSmoothBins = 8;                             // to each side, for the envelope of the fine spectrum

// Power of a Hann window's transform of white noise or a tone, relative to a full-scale square wave.
float to_db(double power) { return std::max(kSilenceDb, static_cast<float>(10 * std::log10(power + 1e-12))); }

}  // namespace

VoiceFeatures::VoiceFeatures()
    : stft_(kWindow, kWindow / 2, kWindow),
      fine_stft_(kFineWindow, kFineWindow / 2, kFineWindow),
      scratch_(stft_),
      fine_scratch_(fine_stft_),
      buffer_(kPastSamples, 0.0f),
      power_(static_cast<std::size_t>(stft_.n_bins())),
      fine_power_(static_cast<std::size_t>(fine_stft_.n_bins())) {
  const double low = hz_to_mel(kLowHz), high = hz_to_mel(kHighHz);
  for (int band = 0; band <= VoiceFrameFeatures::kBands; ++band) {
    const double hz = mel_to_hz(low + (high - low) * band / VoiceFrameFeatures::kBands);
    band_bins_[band] = static_cast<int>(std::lround(hz * kWindow / kSampleRate));
    if (band > 0) band_bins_[band] = std::max(band_bins_[band], band_bins_[band - 1] + 1);
  }
}

void VoiceFeatures::push(std::span<const float> samples, std::vector<VoiceFrameFeatures>& out) {
  n_samples_ += samples.size();
  buffer_.insert(buffer_.end(), samples.begin(), samples.end());
  std::size_t begin = 0;
  for (; buffer_.size() - begin >= kNeeded; begin += kHopSamples) {
    out.emplace_back();
    VoiceFrameFeatures& frame = out.back();
    const float* middle = buffer_.data() + begin + kPastSamples + kHopSamples / 2;
    band_levels(middle - kWindow / 2, frame);
    summarise(frame);
    pitch(middle - kPitchStep * (kPitchSamples + kMaxLag) / 2, frame);
    if (n_frames_++ % kFineEvery == 0) tones(middle - kFineWindow / 2);
    frame.tone_similarity = similarity_;
  }
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(begin));
}

void VoiceFeatures::finish(std::vector<VoiceFrameFeatures>& out) {
  const std::size_t n_wanted = (n_samples_ + kHopSamples - 1) / kHopSamples;
  const std::vector<float> silence(kHopSamples, 0.0f);
  while (n_frames_ < n_wanted) push(silence, out);
}

void VoiceFeatures::band_levels(const float* window, VoiceFrameFeatures& frame) {
  // Frame 1 of a hop of half a window is the window itself, without reflection.
  stft_.power({window, kWindow}, 1, scratch_, power_.data(), 1);
  // Parseval: mean square = 2 / (kWindow * sum of window^2) * sum over bins; sum of Hann^2 is 3/8 of the length.
  constexpr double kScale = 2.0 / (0.375 * kWindow * kWindow);
  double total = 0;
  for (int band = 0; band < VoiceFrameFeatures::kBands; ++band) {
    const double sum = std::accumulate(power_.begin() + band_bins_[band], power_.begin() + band_bins_[band + 1], 0.0);
    total += sum;
    frame.bands_db[band] = to_db(kScale * sum);
  }
  frame.level_db = to_db(kScale * total);
  frame.power = static_cast<float>(kScale * total);
}

void VoiceFeatures::summarise(VoiceFrameFeatures& frame) {
  constexpr std::array<int, 4> kEdges = {0, 6, 13, VoiceFrameFeatures::kBands};
  for (int third = 0; third < 3; ++third) {
    const auto begin = frame.bands_db.begin() + kEdges[third], end = frame.bands_db.begin() + kEdges[third + 1];
    frame.thirds_db[third] = std::accumulate(begin, end, 0.0f) / static_cast<float>(end - begin);
  }
  float change = 0;
  for (std::size_t band = 0; band < frame.bands_db.size(); ++band) {
    change += std::abs(frame.bands_db[band] - before_db_[0][band]);
  }
  frame.change_db = change / VoiceFrameFeatures::kBands;
  before_db_ = {before_db_[1], frame.bands_db};
}

namespace {

// Sum of x[t] * y[t]; eight accumulators, so that the compiler may use vectors.
float dot(const float* x, const float* y, int n) {
  std::array<float, 8> sums{};
  for (int t = 0; t < n; t += 8) {
    for (int lane = 0; lane < 8; ++lane) sums[lane] += x[t + lane] * y[t + lane];
  }
  return std::accumulate(sums.begin(), sums.end(), 0.0f);
}

}  // namespace

// Normalised autocorrelation of the signal at 4 kHz (means of four samples: enough below 400 Hz).
void VoiceFeatures::pitch(const float* window, VoiceFrameFeatures& frame) {
  std::array<float, kPitchSamples + kMaxLag> x;
  for (std::size_t t = 0; t < x.size(); ++t) {
    const float* four = window + t * kPitchStep;
    x[t] = 0.25f * (four[0] + four[1] + four[2] + four[3]);
  }
  static_assert(kPitchSamples % 8 == 0);
  const float energy = dot(x.data(), x.data(), kPitchSamples);
  float lagged = dot(x.data() + kMinLag, x.data() + kMinLag, kPitchSamples);
  int best_lag = kMinLag;
  for (int lag = kMinLag; lag <= kMaxLag; ++lag) {
    // The running sum may round to less than it is: a correlation is never above 1.
    const float norm = std::sqrt(energy * lagged);
    const float correlation =
        norm > kMinPitchEnergy ? std::min(dot(x.data(), x.data() + lag, kPitchSamples) / norm, 1.0f) : 0.0f;
    if (correlation > frame.voicing + 0.02f) {  // octave errors downwards are as good a match: prefer short lags
      frame.voicing = correlation;
      best_lag = lag;
    }
    if (lag < kMaxLag) {
      lagged += x[lag + kPitchSamples] * x[lag + kPitchSamples] - x[lag] * x[lag];
      lagged = std::max(lagged, 0.0f);
    }
  }
  frame.pitch_octave = std::log2(static_cast<float>(kSampleRate / kPitchStep) / best_lag);
}

// The log spectrum without its envelope: peaks of tones stay where they are while a note is held, the harmonics of a
// voice glide.
void VoiceFeatures::tones(const float* window) {
  fine_stft_.power({window, kFineWindow}, 1, fine_scratch_, fine_power_.data(), 1);
  std::array<float, kFineBins + 2 * kSmoothBins> log_power;
  for (std::size_t bin = 0; bin < log_power.size(); ++bin) log_power[bin] = std::log(fine_power_[bin] + 1e-7f);
  std::array<float, kFineBins>& now = fine_[3];
  std::rotate(fine_.begin(), fine_.begin() + 1, fine_.end());
  float envelope = std::accumulate(log_power.begin(), log_power.begin() + 2 * kSmoothBins, 0.0f);
  float norm = 0;
  for (int bin = 0; bin < kFineBins; ++bin) {
    envelope += log_power[bin + 2 * kSmoothBins];
    now[bin] = log_power[bin + kSmoothBins] - envelope / (2 * kSmoothBins + 1);
    envelope -= log_power[bin];
    norm += now[bin] * now[bin];
  }
  norm = 1 / std::sqrt(norm + 1e-3f);
  for (float& value : now) value *= norm;
  similarity_ = std::inner_product(now.begin(), now.end(), fine_[0].begin(), 0.0f);
}

}  // namespace qasr
