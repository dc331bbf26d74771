// Utf8Stream (tokenizer.h): what cannot become a character any more is decided by the bytes before it alone, so the
// replaced prefix never changes when more bytes arrive.
#include <utility>

#include "base/utf8.h"
#include "text/tokenizer.h"

namespace qasr {

std::string Utf8Stream::feed(std::string_view bytes) {
  pending_ += bytes;
  const std::size_t n_certain = pending_.size() - n_incomplete_utf8_bytes(pending_);
  std::string text = replace_invalid_utf8(std::string_view(pending_).substr(0, n_certain));
  pending_.erase(0, n_certain);
  return text;
}

std::string Utf8Stream::finish() { return replace_invalid_utf8(std::exchange(pending_, {})); }

}  // namespace qasr
