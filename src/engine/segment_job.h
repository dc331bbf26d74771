// SegmentJob: one segment of a request from its samples to its Segment. Usually one run; when the answer loops or runs
// on, the ladder of recovery:
//
//   0  as asked
//   1  cut in two at the quietest point of the middle half; each part goes on by itself
//   2  with a repetition penalty and without repeated n-grams
//   3  with temperature 0.4 and 0.8
//
// Every attempt is bounded by the guard, and there are at most nine. What could not be recovered keeps the text before
// the loop. docs/scheduler.md explains the choices.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "engine/batch_runner.h"
#include "engine/request_state.h"
#include "engine/text_stream.h"
#include "model/model.h"

namespace qasr {

class SegmentJob final : public TokenListener {
 public:
  /// @param pool_positions  of the KV pool
  /// @param order           age of the job among all of the engine
  /// @throws Error  see answer_budget()
  SegmentJob(const Model& model, std::int64_t pool_positions, std::shared_ptr<RequestState> request,
             PendingSegment segment, std::uint64_t order);

  RequestState& request() const { return *request_; }
  /// Runs that wait to be admitted since the last call.
  std::vector<DecodeRun*> take_new_runs();
  /// All runs that exist, for removal.
  std::vector<DecodeRun*> runs() const;
  bool owns(const DecodeRun& run) const;

  /// One of the runs has ended: the next attempt begins, or its part is done. Fails the request if the run failed.
  void on_run_end(DecodeRun& run, BatchRunner& runner);
  bool is_done() const;
  /// The segment, when done.
  Segment finish();
  std::size_t index() const { return segment_.index; }
  std::span<const float> samples() const { return segment_.samples; }
  double duration_s() const;

  void on_token(const DecodeRun& run) override;

 private:
  enum class Level { kAsked, kCut, kPenalty, kWarm, kHot, kGivenUp };
  struct Answer {
    std::vector<std::int32_t> ids;
    std::vector<float> log_probs;
    double temperature = 0;
    bool truncated = false;
  };
  /// A stretch of the segment that is answered by itself.
  struct Part {
    std::size_t first_sample = 0, n_samples = 0;
    std::vector<float> padded;  // the samples, if they had to be padded
    Level level = Level::kAsked;
    std::unique_ptr<DecodeRun> run;  // null: no audio, or done
    Answer answer;                   // the best so far
    std::string problem;             // what the guard said of the first attempt; "" while nothing was wrong
    bool is_done = false;
  };

  void begin_part(Part& part);
  SamplingOptions sampling_at(Level level) const;
  bool is_plausible(const DecodeRun& run) const;
  Level next_level(const Part& part) const;
  void next_attempt(Part& part, BatchRunner& runner);
  void cut_part(Part& part, BatchRunner& runner);
  void end_part(Part& part, BatchRunner& runner);
  TokenChooser chooser_for(const Part& part) const;
  Answer kept_answer(const DecodeRun& run, Level level) const;
  void append_answer(const Answer& answer, Segment& segment, std::vector<std::string>& spoken) const;
  void add_notes(Segment& segment) const;

  const Model& model_;
  std::int64_t pool_positions_;
  std::shared_ptr<RequestState> request_;
  PendingSegment segment_;
  std::uint64_t order_;
  std::vector<std::unique_ptr<Part>> parts_;  // in the order of the recording
  std::vector<DecodeRun*> new_runs_;
  TranscriptStream stream_;
  bool streams_ = true;        // until something goes wrong
  Timings timings_;            // of runs that are gone
  std::string cut_;            // "" or "cut at 12.3 s"
  std::string first_problem_;  // what led to the cut
};

}  // namespace qasr
