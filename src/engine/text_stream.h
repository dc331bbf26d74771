// The transcript while it is being decoded: token bytes in, text to show out.
#pragma once

#include <string>
#include <string_view>

#include "text/tokenizer.h"

namespace qasr {

/// Follows the answer "language X<asr_text>text": nothing is emitted before <asr_text> unless the language was forced,
/// outer white space is left out, only whole UTF-8 characters leave.
class TranscriptStream {
 public:
  explicit TranscriptStream(bool forced_language) : in_text_(forced_language) {}

  /// Bytes of one more token; returns the text that can be shown now.
  std::string feed(std::string_view token_bytes);

  /// The answer is complete and parsed to `final_text`: returns what is still to be shown. If the clean-up of
  /// repetitions changed text already shown, nothing more.
  std::string finish(std::string_view final_text);

 private:
  Utf8Stream utf8_;
  bool in_text_;
  std::string pending_;  // before <asr_text>: everything; after it: white space held back
  std::string shown_;
};

}  // namespace qasr
