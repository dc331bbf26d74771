#include "engine/answer_segment.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace qasr {

void append_text_tokens(const Tokenizer& tokenizer, std::string_view forced_language, std::span<const std::int32_t> ids,
                        std::span<const float> log_probs, std::vector<Token>& tokens) {
  std::size_t first = 0;
  if (forced_language.empty()) {
    const auto tag = std::find(ids.begin(), ids.end(), tokenizer.token_id("<asr_text>"));
    if (tag != ids.end()) first = static_cast<std::size_t>(tag - ids.begin()) + 1;
  }
  for (std::size_t index = first; index < ids.size(); ++index) {
    tokens.push_back(
        {.id = ids[index], .log_prob = log_probs[index], .bytes = std::string(tokenizer.token_bytes(ids[index]))});
  }
}

void set_confidence(Segment& segment) {
  if (segment.tokens.empty()) return;
  double sum = 0;
  for (const Token& token : segment.tokens) sum += token.log_prob;
  segment.avg_log_prob = sum / static_cast<double>(segment.tokens.size());
  segment.confidence = std::exp(segment.avg_log_prob);
}

}  // namespace qasr
