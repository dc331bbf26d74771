// What a caller asked for, checked and resolved: names to canonical ones, 0 to what it stands for.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "qasr/options.h"
#include "weights/model_config.h"

namespace qasr {

struct RequestSettings {
  std::string forced_language;  ///< canonical name or ""
  std::string system_text;      ///< context and hotwords
  SamplingOptions sampling;
  GuardOptions guards;
  int max_tokens = 0;  ///< 0: from the segment's length
  bool pad_short_clips = true;
  ShortClipPadding short_clip_padding = ShortClipPadding::kOfficial;
  bool wants_log_probs = true;
  std::shared_ptr<const Aligner> aligner;
};

/// @throws Error kInvalidArgument  the message names the option, what it is and what was expected
RequestSettings resolve_settings(const TranscribeOptions& options);

/// Seconds of the longest segment: the caller's, or what the checkpoint recommends, or 1200.
/// @throws Error kInvalidArgument
double resolve_max_segment_s(double requested_s, const ModelConfig& config);

/// @throws Error kInvalidArgument  a sample is not finite
void check_samples(std::span<const float> samples);

/// Tokens an answer of this many seconds may take when the caller sets no limit: speech rarely exceeds 8 a second.
int token_budget(double duration_s);

/// Tokens that the answer to a prompt of this length may take.
///   pool_positions  of the KV pool
/// @throws Error kInput  the model's positions leave no room for a useful answer; the message says the limit
///               kOutOfMemory  the KV pool does
int answer_budget(const TextDecoderConfig& config, std::int64_t pool_positions, std::size_t n_prompt_tokens,
                  double duration_s, int max_tokens);

}  // namespace qasr
