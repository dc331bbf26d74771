// From the files of a checkpoint to a model on every backend that was asked for: what engines and aligners share.
#pragma once

#include <memory>
#include <vector>

#include "backend/backend.h"
#include "engine/packed_cache.h"
#include "model/model.h"
#include "qasr/engine.h"
#include "weights/checkpoint_files.h"
#include "weights/weight_store.h"

namespace qasr {

/// One copy of a model on one device. Members in the order they depend on each other.
struct PlacedModel {
  std::unique_ptr<PackedCache> packed_cache;  // the backend's weights may lie in its file; null without one
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Model> model;
};

/// Packs the weights for every backend, with progress to the log; the files' pages are let go of on the way.
std::vector<PlacedModel> place_models(const CheckpointFiles& files, const ModelConfig& config,
                                      const WeightStore& weights, const EngineOptions& options,
                                      std::vector<std::unique_ptr<Backend>> backends);

/// Checkpoint files that are in memory already; borrowed.
CheckpointFiles files_in_memory(std::span<const ModelFile> files, const std::string& name);

}  // namespace qasr
