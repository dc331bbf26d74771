// The named configurations of synthetic checkpoints: five tiny models with awkward sizes, the miniature model, and the
// true sizes of the published ones.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "weights/model_config.h"
#include "weights/synthetic.h"

namespace qasr {

struct SyntheticModel {
  std::string name;
  ModelConfig config;
  SyntheticRule rule = SyntheticRule::kHash;
};

/// "tiny_a" ... "tiny_e", "miniature", "qwen3-asr-0.6b", "qwen3-asr-1.7b", "qwen3-forced-aligner-0.6b", "tiny_aligner_a"
/// ... "tiny_aligner_c"; and all but the miniature with the suffix "-spiky": the same sizes with outlier channels.
std::vector<std::string> synthetic_model_names();

/// @throws Error kInvalidArgument  unknown name; the message lists the known ones
SyntheticModel synthetic_model(std::string_view name);

}  // namespace qasr
