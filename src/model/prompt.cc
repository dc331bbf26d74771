#include "model/prompt.h"

#include "model/control_tokens.h"

namespace qasr {
namespace {

constexpr const char* kUser = "a Qwen3-ASR prompt";

}  // namespace

PromptBuilder::PromptBuilder(const Tokenizer& tokenizer, int audio_token_id, const std::string& where)
    : tokenizer_(tokenizer),
      im_start_(require_token(tokenizer, "<|im_start|>", kUser, where)),
      im_end_(require_token(tokenizer, "<|im_end|>", kUser, where)),
      audio_start_(require_token(tokenizer, "<|audio_start|>", kUser, where)),
      audio_end_(require_token(tokenizer, "<|audio_end|>", kUser, where)),
      audio_pad_(require_token(tokenizer, "<|audio_pad|>", kUser, where)),
      asr_text_(require_token(tokenizer, "<asr_text>", kUser, where)) {
  require_id("<|audio_pad|>", audio_pad_, "audio_token_id", audio_token_id, where);
}

std::vector<std::int32_t> PromptBuilder::build(std::string_view context, std::string_view forced_language,
                                               int n_audio_tokens) const {
  std::vector<std::int32_t> ids;
  const auto add = [&ids](const std::vector<std::int32_t>& more) { ids.insert(ids.end(), more.begin(), more.end()); };
  const std::vector<std::int32_t> line_feed = tokenizer_.encode("\n");

  ids.push_back(im_start_);
  // In one piece with "system\n": a context that starts with a line break merges with it.
  add(tokenizer_.encode("system\n" + std::string(context), /*split_added_tokens=*/false));
  ids.push_back(im_end_);
  add(line_feed);

  ids.push_back(im_start_);
  add(tokenizer_.encode("user\n"));
  ids.push_back(audio_start_);
  ids.insert(ids.end(), static_cast<std::size_t>(n_audio_tokens), audio_pad_);
  ids.push_back(audio_end_);
  ids.push_back(im_end_);
  add(line_feed);

  ids.push_back(im_start_);
  add(tokenizer_.encode("assistant\n"));
  if (!forced_language.empty()) {
    add(tokenizer_.encode("language " + std::string(forced_language)));
    ids.push_back(asr_text_);
  }
  return ids;
}

}  // namespace qasr
