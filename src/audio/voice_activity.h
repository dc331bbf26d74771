// Voice activity detection as samples arrive: which frames of 10 ms are speech. Before step 3 of the walk.
//
// Two questions. Is anything there: the level in bands of the spectrum above an adaptive noise floor. Is it a voice:
// statistics of the active frames within 1.5 s (how the level is modulated, how long tones are held, how voicing comes
// and goes) go through a small network, which rejects music and machines. Two thresholds: what lies above the lower one
// is speech if the higher one is reached before the next pause. When in doubt a frame counts as speech: the recogniser
// can still say that nothing was said, but what is dropped here is lost. docs/transcribing.md has the measurements and
// how the coefficients were fitted.
#pragma once

#include <array>
#include <cstddef>
#include <deque>
#include <span>
#include <vector>

#include "audio/voice_features.h"

namespace qasr {

struct VoiceFrame {
  float level_db = kSilenceDb;
  bool active = false;  ///< above the noise floor
  bool speech = false;  ///< and like a voice
};

/// Statistics of the frames around one, see voice_statistics.cc.
struct VoiceStatistics {
  static constexpr int kCount = 12;
  std::array<float, kCount> values{};
  int n_active = 0;
};

class VoiceActivity {
 public:
  /// Decisions come this many frames after the samples they are about; where it is in doubt what a sound is, up to
  /// kMaxDoubt later.
  static constexpr int kLookAhead = 175, kMaxDoubt = 300;

  /// Appends the frames that can be decided; frame t is about samples [160 t, 160 t + 160).
  void push(std::span<const float> samples, std::vector<VoiceFrame>& out);
  /// Appends the rest: ceil(n_samples / 160) frames in all. Nothing may be pushed afterwards.
  void finish(std::vector<VoiceFrame>& out);

  /// Of frame n_judged() - 1; for measuring.
  const VoiceStatistics& statistics() const noexcept { return statistics_; }
  std::size_t n_judged() const noexcept { return n_decided_; }

 private:
  struct Record {
    VoiceFrameFeatures features;
    bool active = false;
  };
  void add_records();
  void decide(std::size_t index, std::vector<VoiceFrame>& out);
  void update_floors(std::size_t index);
  bool is_active(std::size_t index) const;
  void judge(const VoiceFrame& frame, double likelihood, std::vector<VoiceFrame>& out);
  void release_doubtful(bool speech, std::size_t n, std::vector<VoiceFrame>& out);

  VoiceFeatures features_;
  std::vector<VoiceFrameFeatures> fresh_;
  std::deque<Record> records_;                                     // around the frame to be decided
  std::size_t first_record_ = 0;                                   // frame number of records_[0]
  std::size_t n_decided_ = 0;                                      // frames
  std::size_t n_activity_ = 0;                                     // frames whose `active` is known
  std::array<float, VoiceFrameFeatures::kBands> floor_db_{};       // lowest level around
  std::array<float, VoiceFrameFeatures::kBands> past_floor_db_{};  // lowest level before
  std::deque<VoiceFrame> doubtful_;  // frames of a stretch of sound that may still become speech
  std::size_t n_quiet_ = 0;          // frames since the last that may be speech
  bool is_sure_ = false;             // the stretch that is going on is speech
  VoiceStatistics statistics_;
  double likelihood_ = 1, run_likelihood_ = 1;
};

/// Of records around a frame: `level`, `bands`, ... are read through the features; `active` says which count.
VoiceStatistics voice_statistics(std::span<const VoiceFrameFeatures* const> frames, std::span<const char> active);

/// Probability that the frames are (or contain) speech; 1 where there are too few active frames to tell.
double voice_likelihood(const VoiceStatistics& statistics);

}  // namespace qasr
