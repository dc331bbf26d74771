// The model's answer "language X<asr_text>transcript" -> language and text.
// Source: parse_asr_output and detect_and_fix_repetitions of the official package.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qasr {

struct AsrOutput {
  std::string language;  ///< "" if unknown or no speech
  std::string text;
};

/// forced_language: canonical name if the prompt already held "language X<asr_text>", else "".
AsrOutput parse_asr_output(std::string_view raw, std::string_view forced_language);

/// Collapses runs of more than 20 equal characters and patterns of up to 20 characters that repeat 20 times or more.
std::string fix_repetitions(std::string_view text);

/// Languages of consecutive segments, joined by commas; empties and consecutive duplicates dropped.
std::string join_languages(const std::vector<std::string>& languages);

}  // namespace qasr
