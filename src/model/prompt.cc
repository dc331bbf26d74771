#include "model/prompt.h"

#include "qasr/error.h"

namespace qasr {
namespace {

std::int32_t require_token(const Tokenizer& tokenizer, std::string_view content, const std::string& where) {
  const std::int32_t id = tokenizer.token_id(content);
  if (id < 0) {
    throw Error(ErrorCode::kModel,
                "tokenizer: no token " + std::string(content) + ", which Qwen3-ASR prompts need, in " + where);
  }
  return id;
}

}  // namespace

PromptBuilder::PromptBuilder(const Tokenizer& tokenizer, int audio_token_id, const std::string& where)
    : tokenizer_(tokenizer),
      im_start_(require_token(tokenizer, "<|im_start|>", where)),
      im_end_(require_token(tokenizer, "<|im_end|>", where)),
      audio_start_(require_token(tokenizer, "<|audio_start|>", where)),
      audio_end_(require_token(tokenizer, "<|audio_end|>", where)),
      audio_pad_(require_token(tokenizer, "<|audio_pad|>", where)),
      asr_text_(require_token(tokenizer, "<asr_text>", where)) {
  if (audio_pad_ != audio_token_id) {
    throw Error(ErrorCode::kModel, "tokenizer: <|audio_pad|> has id " + std::to_string(audio_pad_) +
                                       ", expected audio_token_id " + std::to_string(audio_token_id) +
                                       " of config.json in " + where);
  }
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
