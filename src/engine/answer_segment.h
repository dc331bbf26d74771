// From an answer's tokens to what a Segment says of them.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "qasr/transcript.h"
#include "text/tokenizer.h"

namespace qasr {

/// Appends the tokens of the answer's text: those behind <asr_text> if the model wrote one.
///   log_probs  [ids.size()]
void append_text_tokens(const Tokenizer& tokenizer, std::string_view forced_language, std::span<const std::int32_t> ids,
                        std::span<const float> log_probs, std::vector<Token>& tokens);

/// Segment::avg_log_prob and confidence from its tokens.
void set_confidence(Segment& segment);

}  // namespace qasr
