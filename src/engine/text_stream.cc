#include "engine/text_stream.h"

#include "text/asr_output.h"

namespace qasr {
namespace {

constexpr std::string_view kTextTag = "<asr_text>";
constexpr std::string_view kWhiteSpace = " \t\n\v\f\r";

}  // namespace

std::string TranscriptStream::feed(std::string_view token_bytes) {
  pending_ += utf8_.feed(token_bytes);
  if (!in_text_) {
    const std::size_t tag = pending_.find(kTextTag);
    if (tag == std::string::npos) return {};
    pending_.erase(0, tag + kTextTag.size());
    in_text_ = true;
  }
  if (shown_.empty()) pending_.erase(0, std::min(pending_.find_first_not_of(kWhiteSpace), pending_.size()));
  const std::size_t last = pending_.find_last_not_of(kWhiteSpace);
  if (last == std::string::npos) return {};
  std::string text = pending_.substr(0, last + 1);
  pending_.erase(0, last + 1);
  shown_ += text;
  return text;
}

std::string TranscriptStream::finish(std::string_view final_text) {
  if (!final_text.starts_with(shown_)) return {};
  return std::string(final_text.substr(shown_.size()));
}

}  // namespace qasr
