// The languages of Qwen3-ASR and the normalisation of their names.
// Source: SUPPORTED_LANGUAGES and normalize_language_name of the official package; codes from ISO 639.
#include "qasr/languages.h"

#include <unicode/locid.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <array>
#include <string>

#include "base/utf8.h"
#include "qasr/error.h"
#include "text/language_name.h"

namespace qasr {
namespace {

constexpr std::array<Language, 30> kLanguages = {{
    {"Chinese", "zh"}, {"English", "en"}, {"Cantonese", "yue"}, {"Arabic", "ar"},     {"German", "de"},
    {"French", "fr"},  {"Spanish", "es"}, {"Portuguese", "pt"}, {"Indonesian", "id"}, {"Italian", "it"},
    {"Korean", "ko"},  {"Russian", "ru"}, {"Thai", "th"},       {"Vietnamese", "vi"}, {"Japanese", "ja"},
    {"Turkish", "tr"}, {"Hindi", "hi"},   {"Malay", "ms"},      {"Dutch", "nl"},      {"Swedish", "sv"},
    {"Danish", "da"},  {"Finnish", "fi"}, {"Polish", "pl"},     {"Czech", "cs"},      {"Filipino", "fil"},
    {"Persian", "fa"}, {"Greek", "el"},   {"Romanian", "ro"},   {"Hungarian", "hu"},  {"Macedonian", "mk"},
}};

constexpr char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool equal_ignoring_case(std::string_view left, std::string_view right) noexcept {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](char a, char b) { return ascii_lower(a) == ascii_lower(b); });
}

}  // namespace

std::span<const Language> languages() noexcept { return kLanguages; }

std::optional<Language> find_language(std::string_view name_or_code) noexcept {
  const std::string_view wanted = strip_space(name_or_code);
  for (const Language& language : kLanguages) {
    if (equal_ignoring_case(wanted, language.name) || equal_ignoring_case(wanted, language.code)) return language;
  }
  return std::nullopt;
}

std::string resolve_language(std::string_view language) {
  if (language.empty() || language == "auto") return "";
  const std::optional<Language> found = find_language(language);
  if (found) return std::string(found->name);
  std::string known;
  for (const Language& entry : languages()) {
    known += (known.empty() ? "" : ", ") + std::string(entry.name) + " (" + std::string(entry.code) + ")";
  }
  throw Error(ErrorCode::kInvalidArgument,
              "unknown language \"" + std::string(language) + "\", expected auto or one of " + known);
}

std::string normalize_language_name(std::string_view name) {
  const std::string text = replace_invalid_utf8(strip_space(name));
  if (text.empty()) return {};
  const std::size_t n_first = decode_utf8_char(text).n_bytes;
  const auto to_unicode = [](std::string_view part) {
    return icu::UnicodeString::fromUTF8({part.data(), static_cast<std::int32_t>(part.size())});
  };
  std::string out;
  to_unicode(std::string_view(text).substr(0, n_first)).toUpper(icu::Locale::getRoot()).toUTF8String(out);
  to_unicode(std::string_view(text).substr(n_first)).toLower(icu::Locale::getRoot()).toUTF8String(out);
  return out;
}

}  // namespace qasr
