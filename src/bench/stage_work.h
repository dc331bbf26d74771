// How much arithmetic and memory traffic each stage needs at least, from the sizes of the model: what measured times
// are compared with.
#pragma once

#include <cstdint>

#include "weights/model_config.h"

namespace qasr::bench {

/// Multiply-adds of products, convolutions and attention; everything else is small beside them.
struct StageWork {
  double stem = 0;     ///< convolutions and conv_out
  double encoder = 0;  ///< stem included
  double prefill = 0;  ///< all layers for every row; the head for the last row
};

/// For `n_segments` recordings of `n_frames` frames each, encoded and prefilled with n_prompt_tokens rows each.
StageWork stage_work(const ModelConfig& config, std::int64_t n_segments, std::int64_t n_frames,
                     std::int64_t n_prompt_tokens);

}  // namespace qasr::bench
