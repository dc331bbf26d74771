#include "model/align_prompt.h"

#include "model/control_tokens.h"

namespace qasr {
namespace {

constexpr const char* kUser = "the forced aligner's input";

}  // namespace

AlignPromptBuilder::AlignPromptBuilder(const Tokenizer& tokenizer, const ModelConfig& config, const std::string& where)
    : tokenizer_(tokenizer),
      audio_start_(require_token(tokenizer, "<|audio_start|>", kUser, where)),
      audio_end_(require_token(tokenizer, "<|audio_end|>", kUser, where)),
      audio_pad_(require_token(tokenizer, "<|audio_pad|>", kUser, where)),
      timestamp_(tokenizer.token_id("<timestamp>")) {
  require_id("<|audio_pad|>", audio_pad_, "audio_token_id", config.audio_token_id, where);
  if (timestamp_ < 0) timestamp_ = config.timestamp_token_id;  // nobody writes it, so a tokenizer may do without
  if (timestamp_ < 0) {
    throw Error(ErrorCode::kModel,
                "aligner: the tokenizer has no token <timestamp> and config.json no "
                "timestamp_token_id, expected one of them, in " +
                    where);
  }
  if (config.timestamp_token_id >= 0) {
    require_id("<timestamp>", timestamp_, "timestamp_token_id", config.timestamp_token_id, where);
  }
}

AlignPrompt AlignPromptBuilder::build(int n_audio_tokens, std::span<const std::vector<std::int32_t>> words) const {
  AlignPrompt prompt;
  prompt.ids.push_back(audio_start_);
  prompt.ids.insert(prompt.ids.end(), static_cast<std::size_t>(n_audio_tokens), audio_pad_);
  prompt.ids.push_back(audio_end_);
  for (const std::vector<std::int32_t>& word : words) {
    prompt.ids.insert(prompt.ids.end(), word.begin(), word.end());
    for (int slot = 0; slot < 2; ++slot) {
      prompt.slots.push_back(static_cast<std::int32_t>(prompt.ids.size()));
      prompt.ids.push_back(timestamp_);
    }
  }
  return prompt;
}

}  // namespace qasr
