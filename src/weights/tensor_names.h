// The ways checkpoints name the same tensor, in one place, and the canonical name used inside the engine.
//
//   official       thinker.model.X              thinker.audio_tower.proj1.X             thinker.lm_head.weight
//   transformers   model.language_model.X       model.multi_modal_projector.linear_1.X  lm_head.weight, score.weight
//   bare           model.X                      audio_tower.proj1.X                     lm_head.weight     (canonical)
//   llama.cpp      blk.0.attn_q.weight          mm.a.mlp.1.X                            output.weight      (GGUF, two
//   files) qwen3-asr.cpp  blk.0.attn_q.weight          audio.encoder.proj1.X                   output.weight (GGUF)
//   CrispASR       blk.0.attn_q.weight          audio.proj1.X                           output.weight      (GGUF)
//   transcribe.cpp dec.blocks.0.attn.q.weight   enc.proj1.X                             dec.output.weight  (GGUF)
//
// MLX files are bare (mlx-community, the Swift port) or official (the Swift port's aligner).
// Source: the published checkpoints; Qwen3ASRForConditionalGeneration and Qwen3ASRForTokenClassification in Hugging
// Face transformers 5.17; ggml-org/llama.cpp; predict-woo/qwen3-asr.cpp; CrispStrobe/CrispASR;
// handy-computer/transcribe.cpp.
#pragma once

#include <string>
#include <string_view>

namespace qasr {

enum class NameLayout { kOfficial, kTransformers, kBare, kLlamaCpp, kQwen3AsrCpp, kCrispAsr, kTranscribeCpp };

/// "official", "transformers", "bare", "llama.cpp", ...
std::string_view name_layout_text(NameLayout layout);

struct CanonicalName {
  std::string name;  ///< empty: a table that the engine computes itself (positions, mel filters, window)
  NameLayout layout = NameLayout::kBare;  ///< what the stored name shows; kBare where layouts agree ("lm_head.weight")
};

/// Any string is accepted: a name no layout knows comes back unchanged.
CanonicalName canonical_name(std::string_view stored);
/// The same for tensors of GGUF files.
CanonicalName canonical_gguf_name(std::string_view stored);

/// The name of a canonical tensor in one of the first three layouts. `is_forced_aligner` decides what transformers
/// calls the head.
std::string stored_name(std::string_view canonical, NameLayout layout, bool is_forced_aligner = false);

}  // namespace qasr
