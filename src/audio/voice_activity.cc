#include "audio/voice_activity.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace qasr {
namespace {

constexpr int kBands = VoiceFrameFeatures::kBands;
constexpr std::size_t kPast = 150, kFuture = 100;           // frames that statistics see
constexpr std::size_t kFloorPast = 200, kFloorFuture = 65;  // frames that the floor sees
constexpr std::size_t kSmooth = 2;                          // frames to each side of the activity's mean
constexpr std::size_t kEvery = 10;                          // frames that share one floor and one likelihood
static_assert(kFuture + kFloorFuture + kEvery <= VoiceActivity::kLookAhead);
constexpr float kMinLevelDb = -80;          // quieter is no speech, whatever the floor
constexpr float kFloorMarginDb = 3;         // the minimum of a noisy level lies below its mean
constexpr float kMaxExcessDb = 12;          // of one band: a single tone is not activity
constexpr float kMinExcessDb = 2.0f;        // mean over bands
constexpr float kSteadyDb = 4;              // a band this near to its floor of the past is as it was
constexpr float kMinFloorDropDb = 6;        // mean over bands; noise that is about to end
constexpr int kMinSteady = kBands * 4 / 5;  // bands; noise that goes on
constexpr std::size_t kMinFloorPast = 100;  // frames; with fewer there is no floor of the past
constexpr double kMinLikelihood = 0.2;      // of what is around
constexpr double kMinRunLikelihood = 0.05;  // of the run between two pauses alone, which is shorter and so less certain
constexpr double kSureLikelihood = 0.6;     // of both; reached once in a stretch between pauses if it is speech
constexpr int kMinRunActive = 80;           // frames; shorter runs are not judged alone
constexpr std::size_t kRunPause = 30;       // frames; ends a run

// From the end of the last pause before `at` to the beginning of the next: what begins after a pause may be something
// else.
std::pair<std::size_t, std::size_t> run_around(std::span<const char> active, std::size_t at) {
  std::size_t first = at, last = at;
  for (std::size_t t = at + 1, n_quiet = 0; t-- > 0 && n_quiet < kRunPause;) {
    n_quiet = active[t] ? 0 : n_quiet + 1;
    if (active[t]) first = t;
  }
  for (std::size_t t = at, n_quiet = 0; t < active.size() && n_quiet < kRunPause; ++t) {
    n_quiet = active[t] ? 0 : n_quiet + 1;
    if (active[t]) last = t + 1;
  }
  return {first, std::max(first, last)};
}

}  // namespace

void VoiceActivity::push(std::span<const float> samples, std::vector<VoiceFrame>& out) {
  features_.push(samples, fresh_);
  add_records();
  const std::size_t n_known = first_record_ + records_.size();
  while (n_decided_ + kLookAhead < n_known) decide(n_decided_ - first_record_, out);
}

void VoiceActivity::finish(std::vector<VoiceFrame>& out) {
  features_.finish(fresh_);
  add_records();
  const std::size_t n_known = first_record_ + records_.size();
  while (n_decided_ < n_known) decide(n_decided_ - first_record_, out);
  release_doubtful(false, doubtful_.size(), out);
}

void VoiceActivity::add_records() {
  for (const VoiceFrameFeatures& features : fresh_) records_.push_back({.features = features});
  fresh_.clear();
}

// The floor of a band is its lowest level, smoothed over 40 ms, among the frames around.
void VoiceActivity::update_floors(std::size_t index) {
  constexpr float kQuietest = kMinLevelDb - 13;  // 20 bands of equal power: each 13 dB below the sum
  const std::size_t begin = index - std::min(index, kFloorPast);
  const std::size_t end = std::min(records_.size(), index + kFloorFuture + 1);
  for (int band = 0; band < kBands; ++band) {
    float floor = 0, past_floor = 0, run = 0;
    for (std::size_t t = begin; t < end; ++t) {
      run += records_[t].features.bands_db[band];
      if (t >= begin + 4) run -= records_[t - 4].features.bands_db[band];
      if (t >= begin + 3) floor = std::min(floor, run / 4);
      if (t == index) past_floor = floor;
    }
    floor_db_[band] = std::max(floor, kQuietest) + kFloorMarginDb;
    past_floor_db_[band] = std::max(past_floor, kQuietest) + kFloorMarginDb;
  }
  if (index - begin < kMinFloorPast) past_floor_db_ = floor_db_;
}

// A frame is active if its bands stand out from the floor on average, unless it is noise that goes on: where noise is
// about to end, the floor is that of the silence behind it.
bool VoiceActivity::is_active(std::size_t index) const {
  const std::size_t begin = index - std::min<std::size_t>(index, kSmooth);
  const std::size_t end = std::min(records_.size(), index + kSmooth + 1);
  float excess = 0;
  int n_steady = 0;      // bands
  float floor_drop = 0;  // dB, how much less is to come
  for (int band = 0; band < kBands; ++band) {
    float sum = 0;
    for (std::size_t t = begin; t < end; ++t) sum += records_[t].features.bands_db[band];
    const float level_db = sum / static_cast<float>(end - begin);
    excess += std::clamp(level_db - floor_db_[band], 0.0f, kMaxExcessDb);
    n_steady += std::abs(level_db - past_floor_db_[band]) < kSteadyDb ? 1 : 0;
    floor_drop += past_floor_db_[band] - floor_db_[band];
  }
  if (n_steady >= kMinSteady && floor_drop > kMinFloorDropDb * kBands) return false;
  return excess > kMinExcessDb * kBands && records_[index].features.level_db > kMinLevelDb;
}

void VoiceActivity::decide(std::size_t index, std::vector<VoiceFrame>& out) {
  const auto around = [&](std::size_t at, std::size_t past, std::size_t future) {
    return std::pair(at - std::min(at, past), std::min(records_.size(), at + future + 1));
  };
  for (; n_activity_ < first_record_ + std::min(records_.size(), index + kFuture + 1); ++n_activity_) {
    const std::size_t at = n_activity_ - first_record_;
    if (n_activity_ % kEvery == 0) update_floors(at);
    records_[at].active = is_active(at);
  }
  if (n_decided_ % kEvery == 0) {
    const auto [begin, end] = around(index, kPast, kFuture);
    std::vector<const VoiceFrameFeatures*> frames;
    std::vector<char> active;
    for (std::size_t t = begin; t < end; ++t) {
      frames.push_back(&records_[t].features);
      active.push_back(records_[t].active);
    }
    statistics_ = voice_statistics(frames, active);
    likelihood_ = voice_likelihood(statistics_);
    const auto [first, last] = run_around(active, index - begin);
    const VoiceStatistics run = voice_statistics(std::span(frames).subspan(first, last - first),
                                                 std::span(active).subspan(first, last - first));
    run_likelihood_ = run.n_active >= kMinRunActive ? voice_likelihood(run) : 1;
  }
  const Record& record = records_[index];
  const bool may_be_speech = record.active && likelihood_ >= kMinLikelihood && run_likelihood_ >= kMinRunLikelihood;
  judge({.level_db = record.features.level_db, .active = record.active, .speech = may_be_speech},
        std::min(likelihood_, run_likelihood_), out);
  ++n_decided_;
  while (n_decided_ - first_record_ > kFloorPast + kEvery) {
    records_.pop_front();
    ++first_record_;
  }
}

// Keeps frames back until the stretch they belong to is known to be speech or not.
void VoiceActivity::judge(const VoiceFrame& frame, double likelihood, std::vector<VoiceFrame>& out) {
  n_quiet_ = frame.speech ? 0 : n_quiet_ + 1;
  const bool is_pause = n_quiet_ >= kRunPause;
  if (is_pause) is_sure_ = false;
  if (frame.speech && likelihood >= kSureLikelihood) is_sure_ = true;
  if (is_sure_) release_doubtful(true, doubtful_.size(), out);
  if (is_sure_ || (doubtful_.empty() && !frame.speech)) {
    out.push_back(frame);
    return;
  }
  doubtful_.push_back(frame);
  if (is_pause) release_doubtful(false, doubtful_.size(), out);
  if (doubtful_.size() > kMaxDoubt) release_doubtful(false, doubtful_.size() - kMaxDoubt, out);
}

void VoiceActivity::release_doubtful(bool speech, std::size_t n, std::vector<VoiceFrame>& out) {
  for (; n > 0; --n) {
    out.push_back(doubtful_.front());
    out.back().speech = out.back().speech && speech;
    doubtful_.pop_front();
  }
}

}  // namespace qasr
