// NFC through ICU, whose data for it is part of the library. ASCII, the common case of prompts, skips ICU.
#include "text/nfc.h"

#include <unicode/bytestream.h>
#include <unicode/errorcode.h>
#include <unicode/normalizer2.h>

#include <algorithm>

#include "base/check.h"

namespace qasr {
namespace {

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

icu::StringPiece piece(std::string_view text) {
  QASR_CHECK(text.size() <= INT32_MAX);  // ICU's limit; a prompt of 2 GiB fits no model
  return {text.data(), static_cast<std::int32_t>(text.size())};
}

}  // namespace

std::string_view to_nfc(std::string_view text, std::string& storage) {
  if (is_ascii(text)) return text;
  icu::ErrorCode status;
  const icu::Normalizer2* nfc = icu::Normalizer2::getNFCInstance(status);
  QASR_CHECK_MSG(status.isSuccess(), status.errorName());
  const bool already_nfc = nfc->isNormalizedUTF8(piece(text), status);
  QASR_CHECK_MSG(status.isSuccess(), status.errorName());
  if (already_nfc) return text;

  storage.clear();
  icu::StringByteSink<std::string> sink(&storage);
  nfc->normalizeUTF8(0, piece(text), sink, nullptr, status);
  QASR_CHECK_MSG(status.isSuccess(), status.errorName());
  return storage;
}

}  // namespace qasr
