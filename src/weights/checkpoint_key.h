// What tells one checkpoint from another without reading it.
#pragma once

#include <string>

#include "weights/checkpoint_files.h"
#include "weights/weight_store.h"

namespace qasr {

/// One line per file that weights come from: config.json and the shards, each with name, size, time of its last change
/// and a checksum of config.json or of the shard's header; and one line with a checksum over samples of every tensor,
/// 256 bytes at its begin, middle and end. A change that keeps name, size, time and all samples goes unnoticed.
std::string checkpoint_key(const CheckpointFiles& files, const WeightStore& weights);

}  // namespace qasr
