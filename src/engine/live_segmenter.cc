#include "engine/live_segmenter.h"

#include <algorithm>
#include <cmath>

#include "qasr/audio.h"

namespace qasr {
namespace {

constexpr std::size_t kHop = 160, kFramesPerS = 100;
constexpr std::size_t kPad = 30;          // frames kept before speech, at most as many behind it
constexpr std::size_t kOpenRun = 3;       // active frames in a row that begin a segment
constexpr std::size_t kVoiceRun = 8;      // frames with a voice that begin one; fewer are a click
constexpr std::size_t kVoiceGap = 20;     // frames without a voice inside such a run
constexpr std::size_t kShortPause = 25;   // ends a segment of target length
constexpr std::size_t kLongPause = 200;   // ends a segment however short
constexpr std::size_t kDoubt = 125;       // decided frames without a voice that drop a segment
constexpr std::size_t kTrustAgain = 50;   // quiet frames after which the level is believed again
constexpr std::size_t kQuietWindow = 15;  // frames, of a cut
constexpr double kFirstFloorDb = -60, kLeastFloorDb = -75, kLeastActiveDb = -65;
constexpr double kMarginDb = 9;
constexpr double kRiseDb = 0.03;  // of the floor per frame
constexpr double kSmoothing = 0.3;

std::size_t frames_of(double seconds) { return static_cast<std::size_t>(std::lround(seconds * kFramesPerS)); }

}  // namespace

LiveSegmenter::LiveSegmenter(const LiveSegmentation& options, std::uint64_t first_sample)
    : options_(options),
      first_sample_(first_sample),
      max_frames_(frames_of(options.max_s)),
      target_frames_(max_frames_ * 2 / 3),
      endpoint_frames_(static_cast<std::size_t>(options.endpoint_ms) / 10),
      floor_db_(kFirstFloorDb),
      smooth_db_(kFirstFloorDb) {}

std::size_t LiveSegmenter::max_samples(const LiveSegmentation& options) { return frames_of(options.max_s) * kHop; }

std::uint64_t LiveSegmenter::earliest_open() const {
  if (!options_.voice_activity) return sample_of(now_);
  return sample_of(std::max(covered_, now_ - std::min(now_, VoiceActivity::kLookAhead + 2 * kPad + kVoiceRun)));
}

void LiveSegmenter::push(std::span<const float> samples) {
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(next_waiting_));
  next_waiting_ = 0;
  waiting_.insert(waiting_.end(), samples.begin(), samples.end());
}

bool LiveSegmenter::next(LiveMark& mark) {
  while (marks_.empty() && waiting_.size() - next_waiting_ >= kHop) {
    look_at(std::span(waiting_).subspan(next_waiting_, kHop));
    next_waiting_ += kHop;
  }
  if (marks_.empty()) return false;
  mark = marks_.front();
  marks_.pop_front();
  return true;
}

bool LiveSegmenter::open_rest(LiveMark& mark) {
  if (open_ || !options_.voice_activity) return false;
  decided_.clear();
  detector_.push(std::span(waiting_).subspan(next_waiting_), decided_);
  detector_.finish(decided_);
  update_voice({});
  if (n_active_run_ == 0 || wait_for_voice_) try_open();
  if (!open_) return false;
  mark = marks_.back();
  return true;
}

void LiveSegmenter::look_at(std::span<const float> frame) {
  double power = 0;
  for (const float x : frame) power += static_cast<double>(x) * x;
  powers_.push_back(static_cast<float>(power));
  if (powers_.size() > kCutSearch) powers_.pop_front();
  ++now_;
  if (options_.voice_activity) {
    update_level(power);
    decided_.clear();
    detector_.push(frame, decided_);
    update_voice(frame);
  }
  decide();
}

void LiveSegmenter::update_level(double power) {
  const double level_db = 10 * std::log10(power / kHop + 1e-12);
  smooth_db_ += kSmoothing * (level_db - smooth_db_);
  floor_db_ = smooth_db_ < floor_db_ ? std::max(smooth_db_, kLeastFloorDb) : floor_db_ + kRiseDb;
  const bool active = level_db > std::max(floor_db_ + kMarginDb, kLeastActiveDb);
  n_active_run_ = active ? n_active_run_ + 1 : 0;
  if (active && (!wait_for_voice_ || open_)) active_end_ = now_;
  if (open_ && n_active_run_ >= kOpenRun) endpoint_told_ = false;  // the next pause is another endpoint
  if (active) return;
  if (now_ - std::min(now_, active_end_) >= kTrustAgain) wait_for_voice_ = false;
}

void LiveSegmenter::update_voice(std::span<const float>) {
  for (const VoiceFrame& frame : decided_) {
    const std::size_t index = n_decided_++;
    if (!frame.speech) continue;
    if (index > voice_end_ + kVoiceGap || n_voice_run_ == 0) {
      voice_begin_ = index;
      n_voice_run_ = 0;
    }
    ++n_voice_run_;
    voice_end_ = index + 1;
    if (open_ && index >= begin_) ++n_voice_;
  }
}

void LiveSegmenter::decide() {
  if (!options_.voice_activity) {
    if (!open_) open(covered_);
    if (now_ - begin_ < max_frames_) return;
    const std::size_t cut = quietest_cut();
    close(cut);
    open(cut);
    return;
  }
  if (open_) {
    try_close();
  } else {
    try_open();
  }
  const std::size_t quiet = now_ - std::min(now_, active_end_);
  if (!endpoint_told_ && quiet >= endpoint_frames_) tell_endpoint(active_end_);
}

void LiveSegmenter::try_open() {
  if (!wait_for_voice_ && n_active_run_ >= kOpenRun) {
    open(now_ - std::min(now_, n_active_run_ + kPad));
    active_end_ = now_;
  } else if (n_voice_run_ >= kVoiceRun && voice_end_ > covered_) {
    open(voice_begin_ - std::min(voice_begin_, kPad));
    active_end_ = std::max(active_end_, voice_end_);
  }
}

void LiveSegmenter::open(std::size_t frame) {
  begin_ = std::max(frame, covered_);
  open_ = true;
  n_voice_ = voice_end_ > begin_ ? voice_end_ - std::max(begin_, voice_begin_) : 0;
  endpoint_told_ = !options_.voice_activity;
  marks_.push_back({LiveMark::Kind::kOpen, sample_of(begin_)});
}

void LiveSegmenter::close(std::size_t frame) {
  open_ = false;
  covered_ = frame;
  n_voice_run_ = voice_end_ > frame ? n_voice_run_ : 0;
  marks_.push_back({LiveMark::Kind::kClose, sample_of(frame)});
}

void LiveSegmenter::tell_endpoint(std::size_t speech_end) {
  endpoint_told_ = true;
  marks_.push_back({LiveMark::Kind::kEndpoint, sample_of(speech_end)});
}

void LiveSegmenter::try_close() {
  const std::size_t quiet = now_ - active_end_;
  if (active_end_ > begin_ && quiet >= ending_pause(active_end_ - begin_)) {
    return close(active_end_ + std::min(kPad, quiet / 2));
  }
  // What is active now is no voice any more: it ended some time ago.
  const bool had_voice = voice_end_ > begin_ && n_voice_ > 0;
  if (had_voice && n_decided_ > voice_end_) {
    const std::size_t no_voice = n_decided_ - voice_end_;
    if (no_voice >= ending_pause(voice_end_ - begin_)) {
      wait_for_voice_ = quiet < kTrustAgain;
      const std::size_t speech_end = voice_end_;
      close(std::min(speech_end + kPad, now_));
      active_end_ = std::min(active_end_, now_);
      if (!endpoint_told_ && no_voice >= endpoint_frames_) tell_endpoint(speech_end);
      return;
    }
  }
  if (!had_voice && n_decided_ >= begin_ + kDoubt) {
    open_ = false;
    wait_for_voice_ = true;
    endpoint_told_ = true;
    covered_ = n_decided_;
    marks_.push_back({LiveMark::Kind::kDrop, sample_of(covered_)});
    return;
  }
  if (now_ - begin_ < max_frames_) return;
  const std::size_t cut = quietest_cut();
  close(cut);
  open(cut);
}

// How long a pause must be to end a segment of that length: the longer it is, the shorter.
std::size_t LiveSegmenter::ending_pause(std::size_t length) const {
  if (options_.endpoint_ends_segment && length < target_frames_) return endpoint_frames_;
  if (length >= target_frames_) return kShortPause;
  return std::max(kShortPause, kLongPause * (target_frames_ - length) / target_frames_);
}

// The middle of the quietest window in what was heard last.
std::size_t LiveSegmenter::quietest_cut() const {
  if (powers_.size() < kQuietWindow) return now_;
  double best = INFINITY;
  std::size_t cut = powers_.size();
  for (std::size_t t = 0; t + kQuietWindow <= powers_.size(); ++t) {
    double power = 0;
    for (std::size_t k = t; k < t + kQuietWindow; ++k) power += powers_[k];
    if (power > best) continue;
    best = power;
    cut = t + kQuietWindow / 2;
  }
  return now_ - powers_.size() + cut;
}

}  // namespace qasr
