// The three ways checkpoints name the same tensor, and the canonical name used inside the engine.
//
//   official       thinker.model.X              thinker.audio_tower.proj1.X             thinker.lm_head.weight
//   transformers   model.language_model.X       model.multi_modal_projector.linear_1.X  lm_head.weight, score.weight
//   bare           model.X                      audio_tower.proj1.X                     lm_head.weight     (canonical)
//
// Source: the published checkpoints; Qwen3ASRForConditionalGeneration and Qwen3ASRForTokenClassification in Hugging
// Face transformers 5.17.
#pragma once

#include <string>
#include <string_view>

namespace qasr {

enum class NameLayout { kOfficial, kTransformers, kBare };

/// "official", "transformers", "bare".
std::string_view name_layout_text(NameLayout layout);

struct CanonicalName {
  std::string name;
  NameLayout layout = NameLayout::kBare;  ///< what the stored name shows; kBare where layouts agree ("lm_head.weight")
};

/// Any string is accepted: a name no layout knows comes back unchanged.
CanonicalName canonical_name(std::string_view stored);

/// The name of a canonical tensor in a layout. `is_forced_aligner` decides what transformers calls the head.
std::string stored_name(std::string_view canonical, NameLayout layout, bool is_forced_aligner = false);

}  // namespace qasr
