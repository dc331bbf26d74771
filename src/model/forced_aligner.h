// ForcedAligner: audio and words -> scores of the classes of every slot. One causal pass, nothing is generated.
//
//   samples -> log-mel -> AudioEncoder (windows) -> prompt (align_prompt.h) -> TextDecoder::classify -> SlotScores
//
// Causal: what a word's slots say depends on the audio and the words before it, never on words behind it.
// Source: Qwen3ASRForTokenClassification in Hugging Face transformers 5.17.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "model/kv_cache.h"
#include "model/model.h"
#include "model/slot_scores.h"
#include "qasr/transcript.h"

namespace qasr {

/// Memory of one caller, reused from call to call.
struct AlignWorkspace {
  FrontEndWorkspace front_end;
  EncoderWorkspace encoder;
  DecoderWorkspace decoder;
  DeviceTensor audio;  // [sum of audio tokens, hidden]
  std::unique_ptr<KvPool> pool;
  std::vector<std::vector<float>> padded;  // copies of pieces that are shorter than kMinPieceSamples
};

/// Audio and the words that may be in it.
struct AlignPiece {
  std::span<const float> samples;                    ///< may be empty
  std::span<const std::vector<std::int32_t>> words;  ///< token ids of each
};

class ForcedAligner {
 public:
  /// Borrows both.
  ForcedAligner(Backend& backend, const Model& model, DType kv_dtype)
      : backend_(backend), model_(model), kv_dtype_(kv_dtype) {}

  int n_audio_tokens(const AlignPiece& piece) const;
  /// Positions of the decoder that a piece takes.
  std::int64_t n_positions(const AlignPiece& piece) const;

  /// Scores of every piece. All are in memory together: the caller bounds the sum of n_positions.
  ///   timings  milliseconds of all pieces together are added to it
  std::vector<SlotScores> classify(std::span<const AlignPiece> pieces, AlignWorkspace& workspace,
                                   Timings& timings) const;

 private:
  void encode(std::span<const AlignPiece> pieces, AlignWorkspace& workspace, Timings& timings) const;
  void make_pool(std::int64_t n_positions, AlignWorkspace& workspace) const;
  SlotScores empty_scores(const AlignPiece& piece) const;

  Backend& backend_;
  const Model& model_;
  DType kv_dtype_;
};

}  // namespace qasr
