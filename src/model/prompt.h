// The prompt: token ids around the audio placeholders. Hop 7 of the walk.
//
//   <|im_start|>system\n{context}<|im_end|>\n<|im_start|>user\n<|audio_start|>{<|audio_pad|> per audio token}
//   <|audio_end|><|im_end|>\n<|im_start|>assistant\n{forced prefix: language X<asr_text>}
//
// Source: chat template and inference wrapper of QwenLM/Qwen3-ASR.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace qasr {

class PromptBuilder {
 public:
  /// @param audio_token_id  the placeholder's id according to config.json
  /// @throws Error kModel  the tokenizer lacks a control token, or its placeholder has another id
  PromptBuilder(const Tokenizer& tokenizer, int audio_token_id, const std::string& where);

  /// @param context          free text for the system turn; control tokens in it are ordinary text
  /// @param forced_language  canonical language name, or "" for automatic detection
  std::vector<std::int32_t> build(std::string_view context, std::string_view forced_language, int n_audio_tokens) const;

 private:
  const Tokenizer& tokenizer_;
  std::int32_t im_start_, im_end_, audio_start_, audio_end_, audio_pad_, asr_text_;
};

}  // namespace qasr
