// split_words: text -> the words an aligner gives times to, each with its part of the text.
//
// Source: the word rules of the official aligner (QwenLM/Qwen3-ASR): letters, digits and the ASCII apostrophe count,
// the rest is deleted; pieces between white space; every Chinese character is a word. Its Japanese tagger and Korean
// dictionary are replaced by approximations: docs/alignment.md.
#include <unicode/brkiter.h>
#include <unicode/uchar.h>
#include <unicode/uscript.h>
#include <unicode/utext.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include "base/check.h"
#include "base/utf8.h"
#include "qasr/align.h"
#include "qasr/languages.h"
#include "text/korean_particles.h"
#include "text/language_name.h"

namespace qasr {
namespace {

struct Character {
  char32_t code_point = 0;
  std::size_t begin = 0, end = 0;  // bytes
  bool is_kept = false, is_white = false;
};

// A word before the text between words is shared out: bytes of its first and last kept characters.
struct Core {
  std::string text;
  std::size_t begin = 0, end = 0;
};

using Characters = std::span<const Character>;

std::uint32_t category_mask(char32_t c) { return U_MASK(u_charType(static_cast<UChar32>(c))); }

bool is_cjk_ideograph(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B820 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF);
}

// Scripts whose vowels or consonants are no marks: a mark is an accent there.
bool reads_without_marks(char32_t letter) {
  UErrorCode status = U_ZERO_ERROR;
  switch (uscript_getScript(static_cast<UChar32>(letter), &status)) {
    case USCRIPT_LATIN:
    case USCRIPT_GREEK:
    case USCRIPT_CYRILLIC:
    case USCRIPT_HAN:
    case USCRIPT_HIRAGANA:
    case USCRIPT_KATAKANA:
    case USCRIPT_HANGUL:
    case USCRIPT_COMMON:
      return true;
    default:
      return false;
  }
}

bool keeps_mark(char32_t letter_before, CombiningMarks marks, bool is_official_language) {
  if (marks != CombiningMarks::kAuto) return marks == CombiningMarks::kKeep;
  return !is_official_language && letter_before != 0 && !reads_without_marks(letter_before);
}

std::vector<Character> read(std::string_view text, CombiningMarks marks, bool is_official_language) {
  std::vector<Character> characters;
  char32_t letter = 0;  // before a mark
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Char next = decode_utf8_char(text.substr(at));
    Character character{.code_point = next.code_point, .begin = at, .end = at + next.n_bytes};
    const std::uint32_t category = category_mask(next.code_point);
    character.is_kept = (category & (U_GC_L_MASK | U_GC_N_MASK)) != 0 || next.code_point == '\'';
    if ((category & U_GC_M_MASK) != 0) {
      character.is_kept = keeps_mark(letter, marks, is_official_language);
    } else {
      letter = (category & U_GC_L_MASK) != 0 ? next.code_point : 0;
    }
    character.is_white = is_space(next.code_point);
    characters.push_back(character);
    at = character.end;
  }
  return characters;
}

// What is kept of a stretch, as one word.
void add_whole(std::string_view text, Characters stretch, std::vector<Core>& cores) {
  Core core;
  for (const Character& character : stretch) {
    if (!character.is_kept) continue;
    if (core.text.empty()) core.begin = character.begin;
    core.end = character.end;
    core.text += text.substr(character.begin, character.end - character.begin);
  }
  if (!core.text.empty()) cores.push_back(std::move(core));
}

// The general rule: what is kept of a stretch; ideographs are words of their own, and so are the runs between them.
void add_general(std::string_view text, Characters stretch, std::vector<Core>& cores) {
  std::size_t begin = 0;
  for (std::size_t at = 0; at < stretch.size(); ++at) {
    if (!is_cjk_ideograph(stretch[at].code_point)) continue;
    add_whole(text, stretch.subspan(begin, at - begin), cores);
    add_whole(text, stretch.subspan(at, 1), cores);
    begin = at + 1;
  }
  add_whole(text, stretch.subspan(begin), cores);
}

// Stem and particle of a word between spaces.
void add_korean(std::string_view text, Characters stretch, std::vector<Core>& cores) {
  std::u32string kept;
  for (const Character& character : stretch) {
    if (character.is_kept) kept += character.code_point;
  }
  std::size_t n_stem = kept.size() - korean_particle_length(kept), n_seen = 0, at = 0;
  while (at < stretch.size() && n_seen < n_stem) n_seen += stretch[at++].is_kept ? 1 : 0;
  add_whole(text, stretch.first(at), cores);
  add_whole(text, stretch.subspan(at), cores);
}

template <typename Add>
std::vector<Core> split_at_spaces(std::string_view text, Characters characters, Add add) {
  std::vector<Core> cores;
  for (std::size_t begin = 0; begin < characters.size();) {
    std::size_t end = begin;
    while (end < characters.size() && !characters[end].is_white) ++end;
    add(text, characters.subspan(begin, end - begin), cores);
    begin = end + 1;
  }
  return cores;
}

// Words of ICU's dictionary for Chinese and Japanese.
std::vector<Core> split_japanese(std::string_view text, Characters characters) {
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<icu::BreakIterator> breaks(
      icu::BreakIterator::createWordInstance(icu::Locale::getJapanese(), status));
  UText source = UTEXT_INITIALIZER;
  utext_openUTF8(&source, text.data(), static_cast<std::int64_t>(text.size()), &status);
  QASR_CHECK_MSG(U_SUCCESS(status), std::string("ICU word breaks: ") + u_errorName(status));
  const std::unique_ptr<UText, decltype(&utext_close)> closer(&source, utext_close);
  breaks->setText(&source, status);
  QASR_CHECK_MSG(U_SUCCESS(status), std::string("ICU word breaks: ") + u_errorName(status));

  std::vector<Core> cores;
  std::size_t begin = 0;
  for (std::int32_t end_byte = breaks->next(); end_byte != icu::BreakIterator::DONE; end_byte = breaks->next()) {
    std::size_t end = begin;
    while (end < characters.size() && characters[end].begin < static_cast<std::size_t>(end_byte)) ++end;
    add_whole(text, characters.subspan(begin, end - begin), cores);
    begin = end;
  }
  return cores;
}

bool is_opening(char32_t c) {
  constexpr std::u32string_view kOthers = U"¿¡";
  return (category_mask(c) & (U_GC_PS_MASK | U_GC_PI_MASK)) != 0 || kOthers.find(c) != std::u32string_view::npos;
}

// Where, between two words, the part of the second begins: at an opening bracket or quote, else behind the white space.
std::size_t boundary_between(Characters gap, std::size_t next_begin) {
  const auto is_white = [](const Character& c) { return c.is_white; };
  const auto first_white = std::find_if(gap.begin(), gap.end(), is_white);
  const auto from = first_white == gap.end() ? gap.begin() : first_white;
  const auto opening = std::find_if(from, gap.end(), [](const Character& c) { return is_opening(c.code_point); });
  if (opening != gap.end()) return opening->begin;
  const auto last_white = std::find_if(gap.rbegin(), gap.rend(), is_white);
  return last_white == gap.rend() ? next_begin : last_white->end;
}

std::vector<TextWord> with_surfaces(std::string_view text, Characters characters, std::vector<Core> cores) {
  std::vector<TextWord> words;
  std::size_t begin = 0, at = 0;
  for (std::size_t index = 0; index < cores.size(); ++index) {
    std::size_t end = text.size();
    if (index + 1 < cores.size()) {
      while (characters[at].begin < cores[index].end) ++at;
      std::size_t gap_end = at;
      while (characters[gap_end].begin < cores[index + 1].begin) ++gap_end;
      end = boundary_between(characters.subspan(at, gap_end - at), cores[index + 1].begin);
    }
    words.push_back({.text = std::move(cores[index].text), .surface = text.substr(begin, end - begin)});
    begin = end;
  }
  return words;
}

// The languages of the official aligner.
constexpr std::array<std::string_view, 11> kAlignerLanguages = {"Chinese",    "English", "Cantonese", "French",
                                                                "German",     "Italian", "Japanese",  "Korean",
                                                                "Portuguese", "Russian", "Spanish"};

}  // namespace

bool is_aligner_language(std::string_view name_or_code) noexcept {
  const std::optional<Language> language = find_language(name_or_code);
  return language &&
         std::find(kAlignerLanguages.begin(), kAlignerLanguages.end(), language->name) != kAlignerLanguages.end();
}

std::vector<TextWord> split_words(std::string_view text, const WordOptions& options) {
  const std::string language = resolve_language(options.language);
  const std::vector<Character> characters = read(text, options.marks, is_aligner_language(language));
  std::vector<Core> cores;
  if (language == "Japanese") {
    cores = split_japanese(text, characters);
  } else {
    cores = split_at_spaces(text, characters, language == "Korean" ? add_korean : add_general);
  }
  return with_surfaces(text, characters, std::move(cores));
}

}  // namespace qasr
