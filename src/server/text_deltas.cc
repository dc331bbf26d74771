#include "server/text_deltas.h"

#include <algorithm>

#include "qasr/formats.h"

namespace qasr::server {
namespace {

constexpr std::size_t kLongestRound = 256;  // bytes
constexpr std::size_t kLeastRound = 4;      // "ll" and "..." are no loops
constexpr std::size_t kKnownTail = 2048;

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

// Where both texts begin to differ, moved back to the beginning of a word.
std::size_t common_words(std::string_view a, std::string_view b) {
  std::size_t n = 0;
  while (n < a.size() && n < b.size() && a[n] == b[n]) ++n;
  if (n == b.size() || n == a.size()) {
    while (n > 0 && n < b.size() && !begins_character(b[n])) --n;
    return n;
  }
  while (n > 0 && !begins_character(b[n])) --n;
  while (n > 0 && b[n - 1] != ' ' && static_cast<unsigned char>(b[n - 1]) < 0x80) --n;
  return n;
}

}  // namespace

std::size_t repeated_tail_bytes(std::string_view text) {
  text = text.substr(text.size() - std::min(text.size(), kKnownTail));
  std::size_t longest = 0;
  for (std::size_t round = kLeastRound; round <= std::min(kLongestRound, text.size() / 2); ++round) {
    std::size_t n_equal = 0;
    while (n_equal + round < text.size() &&
           text[text.size() - 1 - n_equal] == text[text.size() - 1 - n_equal - round]) {
      ++n_equal;
    }
    if (n_equal >= round) longest = std::max(longest, n_equal);
  }
  while (longest > 0 && !begins_character(text[text.size() - longest])) --longest;
  return longest;
}

void TextDeltas::open(std::size_t segment) {
  if (is_open_ && segment_ == segment) return;
  segment_ = segment;
  is_open_ = true;
  current_.clear();
  n_sent_ = 0;
}

std::string TextDeltas::send_up_to(std::size_t n_bytes) {
  if (n_bytes <= n_sent_) return {};
  std::string piece = current_.substr(n_sent_, n_bytes - n_sent_);
  if (n_sent_ == 0) piece = segment_separator(text_, piece) + piece;
  n_sent_ = n_bytes;
  text_ += piece;
  return piece;
}

std::string TextDeltas::update(const TextUpdate& update) {
  open(update.segment);
  if (update.replaces) return {};  // end_segment() brings what replaces it
  current_ += update.piece;
  return send_up_to(current_.size() - repeated_tail_bytes(current_));
}

std::string TextDeltas::end_segment(std::size_t segment, const std::string& segment_text) {
  open(segment);
  is_open_ = false;
  if (n_sent_ == 0) {
    current_ = segment_text;
    return send_up_to(current_.size());
  }
  const std::string sent = current_.substr(0, n_sent_);
  const std::size_t common = common_words(sent, segment_text);
  std::string rest = segment_text.substr(common);
  if (common < sent.size() && !rest.empty()) rest = segment_separator(sent, rest) + rest;
  text_ += rest;
  return rest;
}

}  // namespace qasr::server
