// Cuts normalised text into pre-tokens, the pieces that BPE never merges across. A hand-written matcher of Qwen2's
// regular expression (kPreTokenizerRegex) over ICU character categories: linear in the text, no allocation.
#pragma once

#include <cstddef>
#include <string_view>

namespace qasr {

/// What next_pre_token implements; tokenizer.json files must name this expression.
inline constexpr std::string_view kPreTokenizerRegex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// Byte offset at which the pre-token that starts at `begin` ends. `text` is valid UTF-8, begin < text.size() is the
/// start of a character. Every character belongs to exactly one pre-token.
std::size_t next_pre_token(std::string_view text, std::size_t begin) noexcept;

}  // namespace qasr
