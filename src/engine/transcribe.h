// The spine: one segment of audio -> text, hops 4 to 10 of the walk.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine_impl.h"
#include "model/audio_encoder.h"
#include "model/front_end.h"
#include "model/kv_cache.h"
#include "model/text_decoder.h"
#include "qasr/transcript.h"

namespace qasr {

/// Memory of one session, reused from segment to segment.
struct SegmentWorkspace {
  std::vector<float> padded_samples;
  FrontEndWorkspace front_end;
  EncoderWorkspace encoder;
  DeviceTensor audio_embeddings;  // [n_audio_tokens, hidden]
  DecoderWorkspace decoder;
  std::unique_ptr<KvPool> kv_pool;
};

/// TranscribeOptions, checked and resolved.
struct SegmentOptions {
  std::string forced_language{};  ///< canonical name or ""
  std::string_view context{};
  int max_tokens = 0;  ///< 0: from the segment's length
  bool pad_short_clips = true;
  ShortClipPadding short_clip_padding = ShortClipPadding::kOfficial;
  std::function<void(std::string_view)> on_text{};  ///< may be empty
};

/// Transcribes 16 kHz samples that are given to the model at once. Times of the stages are added to `timings`;
/// start_s and end_s of the result are the caller's to fill.
/// @throws Error kInput  prompt and answer do not fit into the model's positions
Segment transcribe_segment(const Engine::Impl& engine, std::span<const float> samples, const SegmentOptions& options,
                           SegmentWorkspace& workspace, Timings& timings);

/// Tokens an answer of this many seconds may take when the caller sets no limit: speech rarely exceeds 8 a second.
int token_budget(double duration_s);

}  // namespace qasr
