// The forced aligner's input: no chat template, two slots behind each word, the first for its start, the second for its
// end.
//
//   <|audio_start|>{<|audio_pad|> per audio token}<|audio_end|>word<timestamp><timestamp>word<timestamp><timestamp>...
//
// Each word is tokenised by itself: nothing stands between words. Source: inference wrapper of QwenLM/Qwen3-ASR.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "text/tokenizer.h"
#include "weights/model_config.h"

namespace qasr {

struct AlignPrompt {
  std::vector<std::int32_t> ids;
  std::vector<std::int32_t> slots;  ///< [2 * words] indices into ids: start and end of each word
};

class AlignPromptBuilder {
 public:
  /// @throws Error kModel  the tokenizer lacks a control token, or one has another id than config.json says.
  /// <timestamp> may be
  ///                       known to config.json alone
  AlignPromptBuilder(const Tokenizer& tokenizer, const ModelConfig& config, const std::string& where);

  std::vector<std::int32_t> encode_word(std::string_view word) const { return tokenizer_.encode(word, false); }
  /// Ids of the prompt besides the audio tokens and the words' own.
  static std::size_t n_control_ids(std::size_t n_words) { return 2 + 2 * n_words; }

  ///   words  token ids of each word
  AlignPrompt build(int n_audio_tokens, std::span<const std::vector<std::int32_t>> words) const;

 private:
  const Tokenizer& tokenizer_;
  std::int32_t audio_start_, audio_end_, audio_pad_, timestamp_;
};

}  // namespace qasr
