#include "engine/run_prompt.h"

#include <algorithm>

namespace qasr {

void set_prompt(DecodeRun& run, const PromptSource& source, const std::string& system_text, int n_audio_tokens,
                double duration_s) {
  const Model& model = source.model;
  run.padding = source.settings.short_clip_padding;
  run.prompt = model.prompt().build(system_text, source.settings.forced_language, n_audio_tokens);
  run.n_audio_tokens = static_cast<std::size_t>(n_audio_tokens);
  const auto audio_begin = std::find(run.prompt.begin(), run.prompt.end(), model.config().audio_token_id);
  run.n_prefix = static_cast<std::size_t>(audio_begin - run.prompt.begin());
  run.max_tokens = answer_budget(model.config().text, source.pool_positions, run.prompt.size(), duration_s,
                                 source.settings.max_tokens);
  run.timings.n_prompt_tokens = static_cast<int>(run.prompt.size());
}

}  // namespace qasr
