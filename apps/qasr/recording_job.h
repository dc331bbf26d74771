// One recording on its way: a thread reads and cuts it, requests transcribe it, fragments of output become ready.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "input_files.h"
#include "qasr/audio.h"
#include "qasr/engine.h"
#include "qasr/formats.h"
#include "qasr/request.h"
#include "qasr/segmentation.h"

namespace qasr::app {

/// What is shown of a recording while it is being transcribed.
enum class LiveOutput { kNone, kText, kColoredText, kJsonLines };

struct JobOptions {
  AudioStreamOptions audio{};
  SegmentationOptions segmentation{};
  RequestOptions request{};
  LiveOutput live = LiveOutput::kNone;
  std::string model;  ///< for JSON lines
};

/// Wakes whoever watches the jobs.
class JobSignal {
 public:
  void notify();
  /// Waits for notify() since the last wait, at most this long.
  void wait_for(double seconds);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool pending_ = false;
};

class RecordingJob {
 public:
  /// Begins at once. Everything passed by reference outlives the job.
  RecordingJob(std::shared_ptr<const Engine> engine, const InputFile& input, const JobOptions& options,
               JobSignal& signal);
  /// Cancels what has not ended.
  ~RecordingJob();

  void cancel();
  bool ended() const noexcept { return ended_; }
  /// Fragments of live output that became ready since the last call.
  std::vector<std::string> take_fragments();

  double position_s() const noexcept { return position_s_; }  ///< read and cut
  double done_s() const noexcept { return done_s_; }          ///< transcribed
  double expected_s() const noexcept { return expected_s_; }  ///< 0: the header does not say

  // Once ended() is true:
  const Transcript& transcript() const noexcept { return transcript_; }  ///< what is complete, also after a failure
  const std::optional<Error>& error() const noexcept { return error_; }
  bool cancelled() const noexcept { return cancelled_; }
  bool withdrew_text() const noexcept { return withdrew_text_; }  ///< live text was replaced
  double media_ms() const noexcept { return media_ms_; }          ///< decoding and cutting

 private:
  struct Lane;
  void run();
  void read_and_push(AudioStream& stream, std::vector<std::unique_ptr<Lane>>& lanes);
  void push(Lane& lane, std::vector<SpeechSegment>& segments);
  void collect(const AudioStream& stream, std::vector<std::unique_ptr<Lane>>& lanes);
  RequestOptions request_options(Lane& lane);
  void add_fragment(std::string fragment);
  void show_text(const TextUpdate& update);
  void show_segment(Lane& lane, std::size_t index, const Segment& segment);

  std::shared_ptr<const Engine> engine_;
  const InputFile& input_;
  const JobOptions& options_;
  JobSignal& signal_;

  std::atomic<bool> ended_ = false, cancelled_ = false;
  std::atomic<double> position_s_ = 0, done_s_ = 0, expected_s_ = 0;
  std::mutex mutex_;
  std::vector<std::string> fragments_;  // guarded by mutex_
  std::vector<Request*> requests_;      // guarded by mutex_: what cancel() ends
  std::string shown_;                   // the scheduler's thread
  std::size_t n_lines_ = 0;             // the scheduler's thread

  Transcript transcript_;
  std::optional<Error> error_;
  std::atomic<bool> withdrew_text_ = false;
  double media_ms_ = 0;
  std::thread thread_;
};

}  // namespace qasr::app
