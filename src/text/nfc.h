// Unicode normalisation form C, which Qwen's tokenizer applies to all text between added tokens.
#pragma once

#include <string>
#include <string_view>

namespace qasr {

/// `text` (valid UTF-8) in form NFC: a view of `text` itself if it is in that form already, else of `storage`.
std::string_view to_nfc(std::string_view text, std::string& storage);

}  // namespace qasr
