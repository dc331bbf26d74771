#include "engine/placed_model.h"

#include <utility>

#include "engine/load_progress.h"

namespace qasr {
namespace {

PlacedModel place_model(const CheckpointFiles& files, const ModelConfig& config, const WeightStore& weights,
                        const EngineOptions& options, std::unique_ptr<Backend> backend, LoadProgress& progress) {
  PlacedModel placed;
  placed.backend = std::move(backend);
  placed.packed_cache =
      open_packed_cache(options.cache_dir, files, weights, options.weights, *placed.backend, options.log);
  const WeightPacker packer(weights, *placed.backend, options.weights, [&](const HostTensor& tensor) {
    files.release(tensor);
    progress.add(stored_bytes(tensor), LoadProgress::Clock::now());
  });
  placed.model = std::make_unique<Model>(files, config, packer);
  if (placed.packed_cache != nullptr) placed.packed_cache->finish(*placed.backend);
  return placed;
}

}  // namespace

std::vector<PlacedModel> place_models(const CheckpointFiles& files, const ModelConfig& config,
                                      const WeightStore& weights, const EngineOptions& options,
                                      std::vector<std::unique_ptr<Backend>> backends) {
  std::uint64_t total_bytes = 0;
  for (const HostTensor& tensor : weights.all()) total_bytes += stored_bytes(tensor);
  LoadProgress progress(total_bytes * backends.size(), options.log, LoadProgress::Clock::now());
  std::vector<PlacedModel> placed;
  for (std::unique_ptr<Backend>& backend : backends) {
    placed.push_back(place_model(files, config, weights, options, std::move(backend), progress));
  }
  return placed;
}

CheckpointFiles files_in_memory(std::span<const ModelFile> files, const std::string& name) {
  std::vector<CheckpointFile> borrowed;
  for (const ModelFile& file : files) borrowed.push_back({file.name, file.bytes});
  return CheckpointFiles::from_memory(std::move(borrowed), name);
}

}  // namespace qasr
