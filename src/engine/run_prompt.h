// The prompt of a run and what follows from it; the same for segments of recordings and of live streams.
#pragma once

#include <cstdint>
#include <string>

#include "engine/decode_run.h"
#include "engine/request_settings.h"
#include "model/model.h"

namespace qasr {

/// What all prompts of a request have in common.
struct PromptSource {
  const Model& model;
  std::int64_t pool_positions;  ///< of the KV pool
  const RequestSettings& settings;
};

/// Sets prompt, n_prefix, n_audio_tokens, padding, max_tokens and the timings' n_prompt_tokens.
///   n_audio_tokens  rows of the encoder
///   duration_s      of the audio, for the token budget
/// @throws Error  see answer_budget()
void set_prompt(DecodeRun& run, const PromptSource& source, const std::string& system_text, int n_audio_tokens,
                double duration_s);

}  // namespace qasr
