// DecodeRun: one sequence on its way through the batch, from samples to token ids. A segment has one, or several when
// it is transcribed again (segment_job.h).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "backend/device_tensor.h"
#include "engine/repetition_guard.h"
#include "model/kv_cache.h"
#include "model/token_chooser.h"
#include "qasr/error.h"
#include "qasr/options.h"
#include "qasr/request.h"
#include "qasr/transcript.h"

namespace qasr {

struct DecodeRun;
class LiveAudio;

/// Told of every token as soon as it is chosen, on the scheduler's thread.
class TokenListener {
 public:
  virtual void on_token(const DecodeRun& run) = 0;

 protected:
  ~TokenListener() = default;
};

enum class RunEnd {
  kNone,        ///< still going
  kEndToken,    ///< the model ended the answer
  kTokenLimit,  ///< max_tokens did
  kGuard,       ///< the guard did: see verdict
  kFailed,      ///< see error
};

struct DecodeRun {
  DecodeRun(TokenChooser token_chooser, RepetitionGuard repetition_guard)
      : chooser(token_chooser), guard(std::move(repetition_guard)) {}
  DecodeRun(const DecodeRun&) = delete;

  // ---- given by the owner
  std::span<const float> samples;  // borrowed; at least one frame
  ShortClipPadding padding = ShortClipPadding::kOfficial;
  std::vector<std::int32_t> prompt;
  std::size_t n_prefix = 0;        // ids before the first audio token: equal for all segments with this context
  std::size_t n_audio_tokens = 0;  // placeholders behind them
  int max_tokens = 0;
  bool wants_log_probs = true;
  TokenChooser chooser;
  RepetitionGuard guard;
  Priority priority = Priority::kOffline;
  std::uint64_t order = 0;  // age: the smaller, the older
  TokenListener* listener = nullptr;
  LiveAudio* live = nullptr;  // encodes, if not null, instead of `samples`; its begin() was called
  // What probably follows `ids`: verified in the pass that ends the prefill, as far as it is right accepted.
  std::vector<std::int32_t> draft;
  // For measuring with made-up weights: the answer has this many tokens whatever they are, and of a draft all but the
  // last kUnsureTokens are taken to be right; all are sure (log_probs 0). 0: what the model says.
  std::size_t scripted_tokens = 0;
  static constexpr std::size_t kUnsureTokens = 2;
  std::size_t n_foreseen = 0;  // tokens of the draft that were right
  // Rows that were computed for it, and decode steps it took part in.
  std::size_t n_encoded_rows = 0, n_prefilled_rows = 0, n_decode_steps = 0;

  // ---- state, kept by BatchRunner
  std::shared_ptr<const DeviceTensor> audio;  // rows of the encoder, perhaps of other runs as well; null: not encoded
  std::int64_t first_audio_row = 0;           // of this run in `audio`
  std::optional<KvSequence> sequence;         // empty: not admitted, or displaced
  bool alone = false;                         // encode without others: together it failed

  // ---- result
  std::vector<std::int32_t> ids;  // the end token, if reached, is the last
  std::vector<float> log_probs;   // of ids, if wanted
  RunEnd end = RunEnd::kNone;
  Verdict verdict = Verdict::kHealthy;
  std::optional<Error> error;
  Timings timings;

  /// Positions that must be in the cache before the next id can be chosen: prompt and answer so far, the last one
  /// excepted, which the next decode step appends.
  std::size_t n_cached_ids() const { return prompt.size() + ids.size() - 1; }
  /// Prompt, answer so far, draft.
  std::int32_t id_at(std::size_t pos) const {
    if (pos < prompt.size()) return prompt[pos];
    const std::size_t index = pos - prompt.size();
    return index < ids.size() ? ids[index] : draft[index - ids.size()];
  }
  std::int32_t last_id() const { return ids.empty() ? prompt.back() : ids.back(); }
};

}  // namespace qasr
