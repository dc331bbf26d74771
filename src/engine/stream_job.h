// StreamJob: one live stream on the scheduler's thread. Reads like the offline path with carried state:
//
//   next_step   input -> LiveSegmenter -> a mark, or enough new audio: what is to be transcribed now
//   begin_step  LiveAudio (log-mel, encoder), prompt, committed tokens, the last hypothesis as a draft -> DecodeRun
//   (BatchRunner: encodes what is new, prefills, verifies the draft in one pass, decodes on)
//   end_step    the answer -> CommitTracker -> LiveText -> events
//
// docs/streaming.md explains it with an example.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "audio/resampler.h"
#include "engine/batch_runner.h"
#include "engine/commit_policy.h"
#include "engine/live_audio.h"
#include "engine/live_segmenter.h"
#include "engine/live_text.h"
#include "engine/stream_state.h"

namespace qasr {

/// What a step was computed from and what came out; for tests.
struct LiveStep {
  std::span<const float> samples;            ///< of the segment, as heard
  std::span<const std::int32_t> forced_ids;  ///< committed before the step: the answer begins with them
  std::span<const std::int32_t> ids;         ///< the answer, without end token
  std::int64_t n_kept_rows = 0;              ///< encoder rows that were not computed again
  std::size_t n_windows_again = 0;           ///< LiveAudio::n_windows_again() of the segment
  std::size_t n_foreseen = 0;                ///< tokens of the last hypothesis that were verified instead of decoded
};
using LiveStepTap = std::function<void(const LiveStep&)>;

class StreamJob {
 public:
  /// @param pool_positions  of the KV pool
  StreamJob(Backend& backend, const Model& model, std::int64_t pool_positions, std::shared_ptr<StreamState> state,
            LiveStepTap tap);

  StreamState& state() const { return *state_; }
  /// Takes input until there is something to transcribe. Null: nothing now, or a step is under way.
  /// @throws Error  see answer_budget()
  DecodeRun* next_step(BatchRunner& runner, std::uint64_t order);
  /// The step's run has ended.
  void end_step(BatchRunner& runner);
  /// Lets go of everything in the runner.
  void release(BatchRunner& runner);
  /// The last next_step() did not look at all of a long input, so that others have their turn.
  bool has_more() const { return has_more_; }
  /// Samples that were taken, at 16 kHz.
  std::uint64_t n_received() const { return n_received_; }
  /// The run of the step under way; null if there is none.
  DecodeRun* active_run() const { return is_busy_ ? segment_->run.get() : nullptr; }

 private:
  enum class Goal { kPartial, kPause, kFinal };
  struct OpenSegment {
    OpenSegment(Backend& backend, const Model& model, const StreamSettings& settings);
    std::uint64_t begin = 0, heard_end = 0;  // samples of the stream
    std::uint64_t stepped_at = 0;            // what had come when the last step began: in a pause, more than it heard
    std::string system_text;
    LiveAudio audio;
    std::unique_ptr<DecodeRun> run;
    CommitTracker tracker;
    LiveAnswer answer;
    bool is_answered = false;  // `answer` is that of the samples up to heard_end
    Timings timings;
  };

  DecodeRun* on_mark(const LiveMark& mark, BatchRunner& runner);
  void on_input(StreamInput& input, BatchRunner& runner);
  DecodeRun* partial_step();
  std::uint64_t step_samples() const;
  std::uint64_t due_end() const;
  std::uint64_t grid_samples() const;
  std::size_t samples_to_take() const;
  DecodeRun* flush_step(BatchRunner& runner);
  void listen(std::span<const float> samples);
  void start_over(std::uint64_t first_sample);
  void trim_buffer();
  void open_segment(std::uint64_t first_sample);
  void drop_segment(BatchRunner& runner);
  DecodeRun* final_step(std::uint64_t end, BatchRunner& runner);
  DecodeRun* begin_step(std::uint64_t end, Goal goal);
  void fill_run(std::span<const float> samples, double duration_s);
  void take_answer();
  void show_answer();
  void emit(StreamEvent::Kind kind, double end_s);

  Backend& backend_;
  const Model& model_;
  std::int64_t pool_positions_;
  std::shared_ptr<StreamState> state_;
  LiveStepTap tap_;

  std::unique_ptr<Resampler> resampler_;  // null at 16 kHz
  std::optional<LiveSegmenter> segmenter_;
  std::vector<float> buffer_, resampled_, padded_;
  std::uint64_t buffer_begin_ = 0;  // sample of the stream that buffer_ begins with
  std::uint64_t n_received_ = 0;    // at 16 kHz

  std::unique_ptr<OpenSegment> segment_;
  LiveText text_;
  Goal goal_ = Goal::kPartial;
  bool is_busy_ = false, has_more_ = false;
  std::uint64_t order_ = 0;
  std::optional<StreamInput::Kind> flush_;  // kFlush or kClose that is being done
  std::uint64_t speech_end_ = 0;            // of the pause that kPause is about
  double listening_ms_ = 0, step_ms_ = 0;   // since the last step; of the last step
};

}  // namespace qasr
