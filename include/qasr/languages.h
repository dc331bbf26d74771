// The languages Qwen3-ASR recognises.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "qasr/export.h"

namespace qasr {

struct Language {
  std::string_view name;  ///< canonical English name, the one the model was trained with: "German"
  std::string_view code;  ///< ISO 639-1, or 639-3 where there is none: "de", "yue"
};

/// All 30, in the order of the official list.
QASR_API std::span<const Language> languages() noexcept;

/// By name or code, ignoring case and outer spaces; nothing if unknown.
QASR_API std::optional<Language> find_language(std::string_view name_or_code) noexcept;

}  // namespace qasr
