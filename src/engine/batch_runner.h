// BatchRunner: the model and the KV pool, and the runs that share them. Prepares admitted runs piece by piece (log-mel,
// encoder, prompt) and decodes all that are ready, a step at a time. Knows nothing of requests; one thread calls it.
//
//   admit -> to_encode -> group: features, windows -> to_prefill: prefix, prompt rows -> decoding -> take_ended
//
// A prompt's last id and, after a displacement, the last id of the answer are fed by the decode step, so that all
// choices are made there.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "engine/decode_run.h"
#include "model/front_end.h"
#include "model/model.h"
#include "model/prefix_cache.h"
#include "qasr/engine.h"

namespace qasr {

/// SchedulerOptions with the defaults filled in.
struct BatchLimits {
  int max_batch = 0;
  std::int64_t pool_positions = 0;       ///< of the KV pool
  std::int64_t rows_per_piece = 0;       ///< of preparation
  std::int64_t live_rows_per_piece = 0;  ///< the same while somebody is live
};

class BatchRunner {
 public:
  /// Borrows both.
  BatchRunner(Backend& backend, const Model& model, const SchedulerOptions& options, DType kv_dtype);

  /// Does not change; any thread.
  const BatchLimits& limits() const { return limits_; }

  /// Takes a run in if there are pages for what it has so far and a few tokens more. It must live until it is released
  /// or removed.
  /// @throws Error kOutOfMemory  there would be too few pages even if it were alone
  bool admit(DecodeRun& run);
  /// Lets go of a run in whatever state, at once.
  void remove(DecodeRun& run);
  /// Takes the pages of the youngest run of the lowest priority below `priority`; null if there is none. It can be
  /// admitted again and goes on from where it was.
  DecodeRun* displace_below(Priority priority);
  /// Runs displaced by decode() for want of pages, since the last call.
  std::vector<DecodeRun*> take_displaced();

  /// Lets go of a run that has ended, but for its first n_positions: they are there when it is admitted again, unless
  /// their pages were needed in between.
  void park(DecodeRun& run, int n_positions);

  std::size_t n_runs() const { return runs_.size(); }
  /// What the batch and the pool hold, and how much was decoded.
  EngineLoad load() const;
  bool has_live() const;
  /// Encoder or prompt rows are waiting.
  bool has_preparation() const { return !to_encode_.empty() || !groups_.empty() || !to_prefill_.empty(); }

  /// Computes one piece of preparation, live runs first: rows_per_piece rows or a window.
  void prepare();
  /// A decode step of all runs that are ready; where the backend runs ahead, several, fewer once `has_changed`.
  void decode(const std::atomic<bool>& has_changed);

  /// Runs that have ended (RunEnd). Their pages stay theirs until release() or restart().
  std::vector<DecodeRun*> take_ended();
  void release(DecodeRun& run) { remove(run); }
  /// Answers the same audio again from the beginning, with the run's chooser, guard and max_tokens as they are now.
  void restart(DecodeRun& run);

 private:
  // Runs that are encoded together. Features and windows refer to each other, so it stays where it is made.
  struct EncodeGroup {
    std::vector<DecodeRun*> runs;  // null: removed
    std::unique_ptr<FrontEndWorkspace> front_end;
    std::vector<AudioEncoder::Window> windows;
    std::vector<std::size_t> window_run;  // [windows] index into runs
    std::size_t next_window = 0;
    std::int64_t next_row = 0;
    std::shared_ptr<DeviceTensor> audio;
    bool is_live = false;
  };

  void make_pool(std::int64_t least_positions);
  bool make_free(int n_pages);
  std::int64_t piece_rows() const { return has_live() ? limits_.live_rows_per_piece : limits_.rows_per_piece; }
  void displace(DecodeRun& run);
  void forget(DecodeRun& run);

  void start_group();
  void compute_features(EncodeGroup& group);
  void encode_piece(EncodeGroup& group);
  void encode_live_piece(EncodeGroup& group);
  void finish_group(EncodeGroup& group);
  void fail_group(EncodeGroup& group, const Error& error);
  void prefill_piece();
  bool begin_sequence(DecodeRun& run);
  void extend(std::span<DecodeRun* const> runs, std::span<const std::size_t> n_rows);
  void accept_draft(DecodeRun& run, std::span<const std::int32_t> next_ids, std::span<const float> log_probs);

  int make_room_for_steps(int n_steps);
  void run_steps(int n_steps, const std::atomic<bool>& has_changed);
  void accept(DecodeRun& run, std::int32_t id, float log_prob);
  void end_run(DecodeRun& run, RunEnd end, const Error* error = nullptr);

  Backend& backend_;
  const Model& model_;
  BatchLimits limits_;
  DType kv_dtype_;
  std::unique_ptr<KvPool> pool_;
  std::unique_ptr<PrefixCache> prefixes_;

  EncoderWorkspace encoder_workspace_;
  DecoderWorkspace prefill_workspace_, decode_workspace_;

  std::vector<DecodeRun*> runs_;  // all that are admitted, oldest first
  std::vector<DecodeRun*> to_encode_, to_prefill_, decoding_, ended_, displaced_;
  std::vector<DecodeRun*> parked_;  // not in runs_; the one parked longest ago first
  std::list<EncodeGroup> groups_;
  std::vector<std::unique_ptr<FrontEndWorkspace>> spare_front_ends_;
  std::uint64_t n_decode_steps_ = 0, n_decode_rows_ = 0;
};

}  // namespace qasr
