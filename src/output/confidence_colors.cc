// color_by_confidence: tokens -> words -> ANSI colours.
#include <algorithm>
#include <cmath>

#include "qasr/formats.h"

namespace qasr {
namespace {

constexpr double kDoubtful = 0.5, kUncertain = 0.8;
constexpr std::string_view kRed = "\x1b[31m", kYellow = "\x1b[33m", kReset = "\x1b[0m";

std::string painted(const std::string& word, double probability) {
  if (probability >= kUncertain || word.empty()) return word;
  const std::size_t begin = std::min(word.find_first_not_of(' '), word.size());
  return word.substr(0, begin) + std::string(probability < kDoubtful ? kRed : kYellow) + word.substr(begin) +
         std::string(kReset);
}

bool continues_character(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; }

// Text in scripts without spaces has no such words: there each token counts alone, whole characters at a time.
bool begins_word(const std::string& bytes) {
  return bytes.front() == ' ' || bytes.front() == '\n' ||
         (static_cast<unsigned char>(bytes.front()) >= 0xe0 && !continues_character(bytes.front()));
}

}  // namespace

std::string color_by_confidence(const Segment& segment) {
  std::string joined, out, word;
  for (const Token& token : segment.tokens) joined += token.bytes;
  // The clean-up of repetitions may have changed the text: then it no longer belongs to the tokens.
  if (joined.find(segment.text) == std::string::npos || segment.text.empty()) return segment.text;
  double least = 1;
  for (const Token& token : segment.tokens) {
    if (token.bytes.empty()) continue;
    if (begins_word(token.bytes)) {
      out += painted(word, least);
      word.clear();
      least = 1;
    }
    word += token.bytes;
    least = std::min(least, std::exp(static_cast<double>(token.log_prob)));
  }
  out += painted(word, least);
  const std::size_t begin = std::min(out.find_first_not_of(" \n"), out.size());
  return out.substr(begin, out.find_last_not_of(" \n") + 1 - begin);
}

}  // namespace qasr
