// What callers of a busy engine see: so many clients, each with one clip under way at a time and the next one ready.
// Everything a user's request passes is in it: queue, scheduler, tokenizer, log-probabilities, text as it comes.
#pragma once

#include <memory>

#include "qasr/engine.h"

namespace qasr::bench {

struct ClosedLoopOptions {
  int concurrency = 1;        ///< clients
  double clip_s = 30;         ///< seconds of a clip
  double segment_s = 30;      ///< a clip is cut into equal pieces of at most so many seconds
  double tokens_per_s = 3.5;  ///< of audio; answers are cut off there, and guards against loops are off
  int rounds = 4;             ///< clips per client, after two that are not counted
};

struct ClosedLoopReport {
  int n_clips = 0;
  double audio_s_per_s = 0;                               ///< seconds of audio per second, all clients together
  double tokens_per_s = 0;                                ///< generated
  double first_token_p50_ms = 0, first_token_p95_ms = 0;  ///< from a client's call to its first text
  double clip_p50_ms = 0, clip_p95_ms = 0;                ///< from a client's call to its transcript
  double token_share = 0;  ///< tokens of those asked for: less than 1 if the model ended answers itself
};

/// @throws Error  what requests throw; kInvalidArgument  a number out of range
ClosedLoopReport run_closed_loop(const std::shared_ptr<const Engine>& engine, const ClosedLoopOptions& options);

}  // namespace qasr::bench
