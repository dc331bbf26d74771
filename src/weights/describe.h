// Fills the public ModelInfo: what `qasr info` prints, from headers and configuration alone.
#pragma once

#include "qasr/engine.h"
#include "weights/checkpoint_files.h"
#include "weights/model_config.h"
#include "weights/weight_store.h"

namespace qasr {

/// kv_cache_bytes_per_token is for a bf16 cache; file_bytes counts the weight files.
ModelInfo describe_checkpoint(const CheckpointFiles& files, const ModelConfig& config, const WeightStore& store);

}  // namespace qasr
