// See tensor_names.h.
#include "weights/tensor_names.h"

#include <array>

namespace qasr {
namespace {

constexpr std::string_view kOfficialPrefix = "thinker.";

struct Prefixes {
  std::string_view transformers, canonical;
};

// More specific prefixes first: the projector lies inside the audio tower in canonical names.
constexpr std::array kPrefixes = {
    Prefixes{"model.multi_modal_projector.linear_1.", "audio_tower.proj1."},
    Prefixes{"model.multi_modal_projector.linear_2.", "audio_tower.proj2."},
    Prefixes{"model.audio_tower.", "audio_tower."},
    Prefixes{"model.language_model.", "model."},
    Prefixes{"score.", "lm_head."},  // the forced aligner's head
};

std::string replace_prefix(std::string_view name, std::string_view from, std::string_view to) {
  return std::string(to).append(name.substr(from.size()));
}

}  // namespace

std::string_view name_layout_text(NameLayout layout) {
  switch (layout) {
    case NameLayout::kOfficial:
      return "official";
    case NameLayout::kTransformers:
      return "transformers";
    case NameLayout::kBare:
      return "bare";
  }
  return "?";
}

CanonicalName canonical_name(std::string_view stored) {
  if (stored.starts_with(kOfficialPrefix)) {
    return {std::string(stored.substr(kOfficialPrefix.size())), NameLayout::kOfficial};
  }
  for (const Prefixes& prefix : kPrefixes) {
    if (stored.starts_with(prefix.transformers)) {
      return {replace_prefix(stored, prefix.transformers, prefix.canonical), NameLayout::kTransformers};
    }
  }
  return {std::string(stored), NameLayout::kBare};
}

std::string stored_name(std::string_view canonical, NameLayout layout, bool is_forced_aligner) {
  if (layout == NameLayout::kOfficial) return std::string(kOfficialPrefix).append(canonical);
  if (layout == NameLayout::kBare) return std::string(canonical);
  for (const Prefixes& prefix : kPrefixes) {
    if (!canonical.starts_with(prefix.canonical)) continue;
    if (prefix.transformers == "score." && !is_forced_aligner) continue;
    return replace_prefix(canonical, prefix.canonical, prefix.transformers);
  }
  return std::string(canonical);
}

}  // namespace qasr
