// LiveSegmenter: where a stream is cut, decided as the samples arrive. Two detectors, since one must be fast and the
// other must be right:
//
//   level   a frame of 10 ms is active if it stands out from a noise floor: known at once. Opens segments, ends them.
//   voice   VoiceActivity, which knows speech from music and machines, but 1.75 s later (in doubt 4.75 s). Drops
//           segments without a voice, ends those that go on as noise, opens some for speech that the level missed.
//
// Marks depend on the samples alone, not on how they were spread over calls nor on what the model answers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "audio/voice_activity.h"

namespace qasr {

struct LiveSegmentation {
  bool voice_activity = true;
  double max_s = 24;
  int endpoint_ms = 700;
  bool endpoint_ends_segment = false;
};

struct LiveMark {
  enum class Kind {
    kOpen,      ///< a segment begins with `sample`
    kEndpoint,  ///< speech ended at `sample`, endpoint_ms ago; the segment may still be open
    kClose,     ///< the open segment ends before `sample`, which may be up to some seconds ago
    kDrop,      ///< the open segment is no speech
  };
  Kind kind{};
  std::uint64_t sample = 0;  ///< from the beginning of the stream
};

class LiveSegmenter {
 public:
  /// @param first_sample  number of the first sample that will be pushed
  LiveSegmenter(const LiveSegmentation& options, std::uint64_t first_sample);

  void push(std::span<const float> samples);
  /// Looks at complete frames up to the next mark. False: all are looked at, there is none.
  bool next(LiveMark& mark);
  /// The recording ends with what was pushed: opens a segment for speech at the end that is not in one. Nothing may be
  /// pushed afterwards.
  bool open_rest(LiveMark& mark);

  bool is_open() const { return open_; }
  /// Samples that were looked at.
  std::uint64_t position() const { return sample_of(now_); }
  /// The earliest sample that a later kOpen may name.
  std::uint64_t earliest_open() const;
  /// Where the level was last above the floor: behind it is silence, so far.
  std::uint64_t active_end() const { return sample_of(active_end_); }
  /// The limit is near: the cut will lie in what is heard now, so its words must stay open.
  bool is_cut_near() const { return open_ && now_ - begin_ + kHoldFrames >= max_frames_; }

  /// Most samples that a segment can have.
  static std::size_t max_samples(const LiveSegmentation& options);

 private:
  static constexpr std::size_t kCutSearch = 100;  // frames before the limit in which the cut is searched
  static constexpr std::size_t kHoldFrames = kCutSearch + 50;

  std::uint64_t sample_of(std::size_t frame) const { return first_sample_ + static_cast<std::uint64_t>(frame) * 160; }
  void look_at(std::span<const float> frame);
  void update_level(double power);
  void update_voice(std::span<const float> frame);
  void decide();
  void try_open();
  void try_close();
  void open(std::size_t frame);
  void close(std::size_t frame);
  std::size_t ending_pause(std::size_t length) const;
  std::size_t quietest_cut() const;
  void tell_endpoint(std::size_t speech_end);

  LiveSegmentation options_;
  std::uint64_t first_sample_;
  std::size_t max_frames_, target_frames_, endpoint_frames_;
  VoiceActivity detector_;
  std::vector<VoiceFrame> decided_;
  std::vector<float> waiting_;  // samples of the frame that is not complete
  std::size_t next_waiting_ = 0;
  std::deque<LiveMark> marks_;
  std::deque<float> powers_;  // of the last kCutSearch frames

  // Frames, from first_sample_ on.
  std::size_t now_ = 0;         // looked at
  std::size_t active_end_ = 0;  // behind the last active one
  std::size_t n_active_run_ = 0;
  std::size_t n_decided_ = 0;                      // by the voice detector
  std::size_t voice_end_ = 0;                      // behind the last one with a voice
  std::size_t voice_begin_ = 0, n_voice_run_ = 0;  // of the run of voice that ends there, small gaps included
  std::size_t covered_ = 0;                        // before it everything is in a segment or was left out
  std::size_t begin_ = 0;                          // of the open segment
  std::size_t n_voice_ = 0;                        // frames with a voice in the open segment
  bool open_ = false;
  bool wait_for_voice_ = false;  // the level was wrong: what is active is no speech
  bool endpoint_told_ = true;
  double floor_db_, smooth_db_;
};

}  // namespace qasr
