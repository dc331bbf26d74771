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
  /// Runs of this priority are in.
  bool has(Priority priority) const;
  /// Encoder or prompt rows are waiting.
  bool has_preparation() const { return !to_encode_.empty() || !groups_.empty() || !to_prefill_.empty(); }
  bool has_preparation(Priority priority) const;
  /// The backend computes several steps while the host does something else: then steps are for all.
  bool runs_ahead() const { return backend_.run_ahead_steps() > 0; }

  /// Live runs may come at any moment: offline pieces are small, and computed in slices of some milliseconds each.
  void expect_live(bool expected) { expects_live_ = expected; }
  /// Computes one piece of preparation of runs of this priority: rows_per_piece rows or a window. Of an offline piece
  /// perhaps a slice: the next call goes on with it.
  void prepare(Priority priority);
  /// A decode step of all runs that are ready and have this priority at least; where the backend runs ahead, several,
  /// fewer once `has_changed`.
  void decode(Priority least, const std::atomic<bool>& has_changed);

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
    std::optional<AudioEncoder::Pass> pass;  // over the windows from next_window on
    double pass_ms = 0;
    std::shared_ptr<DeviceTensor> audio;
    Priority priority = Priority::kOffline;
  };

  // Rows of offline prompts that are being computed.
  struct PrefillPass {
    std::vector<DecodeRun*> runs;
    std::vector<std::vector<std::int32_t>> ids;  // [runs]
    TextDecoder::ExtendPass pass;
    double ms = 0;
  };

  void make_pool(std::int64_t least_positions);
  bool make_free(int n_pages);
  std::int64_t piece_rows() const {
    return expects_live_ || has(Priority::kLive) ? limits_.live_rows_per_piece : limits_.rows_per_piece;
  }
  void displace(DecodeRun& run);
  void forget(DecodeRun& run);

  EncodeGroup* find_group(Priority priority);
  EncodeGroup& start_group(Priority priority);
  void compute_features(EncodeGroup& group);
  void encode_piece(EncodeGroup& group);
  bool encode_pass(EncodeGroup& group);
  void encode_live_piece(EncodeGroup& group);
  void finish_group(EncodeGroup& group);
  void fail_group(EncodeGroup& group, const Error& error);
  void prefill_piece(Priority priority);
  void begin_prefill(std::span<DecodeRun* const> runs, std::span<const std::size_t> n_rows);
  bool continue_prefill();
  bool slices(Priority priority) const;
  EncoderWorkspace& encoder_workspace(Priority priority);
  DecoderWorkspace& prefill_workspace(Priority priority);
  void to_decoding(std::span<DecodeRun* const> runs);
  PrefillInput prefill_input(DecodeRun& run, std::size_t n_rows, std::vector<std::int32_t>& ids) const;
  bool begin_sequence(DecodeRun& run);
  void extend(std::span<DecodeRun* const> runs, std::span<const std::size_t> n_rows);
  void accept_draft(DecodeRun& run, std::span<const std::int32_t> next_ids, std::span<const float> log_probs);

  std::vector<DecodeRun*> ready(Priority least) const;
  int make_room_for_steps(int n_steps, Priority least);
  void run_steps(std::span<DecodeRun* const> runs, int n_steps, const std::atomic<bool>& has_changed);
  void accept(DecodeRun& run, std::int32_t id, float log_prob);
  void end_run(DecodeRun& run, RunEnd end, const Error* error = nullptr);

  Backend& backend_;
  const Model& model_;
  BatchLimits limits_;
  DType kv_dtype_;
  std::unique_ptr<KvPool> pool_;
  std::unique_ptr<PrefixCache> prefixes_;

  // Live passes have their own: they come between the slices of offline ones.
  EncoderWorkspace encoder_workspace_, live_encoder_workspace_;
  DecoderWorkspace prefill_workspace_, live_prefill_workspace_, decode_workspace_;

  std::vector<DecodeRun*> runs_;  // all that are admitted, oldest first
  std::vector<DecodeRun*> to_encode_, to_prefill_, decoding_, ended_, displaced_;
  std::vector<DecodeRun*> parked_;  // not in runs_; the one parked longest ago first
  std::list<EncodeGroup> groups_;
  std::unique_ptr<PrefillPass> prefill_pass_;
  std::vector<std::unique_ptr<FrontEndWorkspace>> spare_front_ends_;
  std::uint64_t n_decode_steps_ = 0, n_decode_rows_ = 0;
  bool expects_live_ = false;
};

}  // namespace qasr
