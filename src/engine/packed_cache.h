// PackedCache: keeps a model's packed weights in a directory, so that a later load maps them instead of packing again.
// No failure here is more than a warning: without a usable file the weights are packed as ever. docs/cache.md.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "backend/backend.h"
#include "weights/checkpoint_files.h"
#include "weights/packed_file.h"
#include "weights/weight_store.h"

namespace qasr {

class PackedCache final : public PackedSections {
 public:
  using Log = std::function<void(std::string_view)>;

  /// Opens the file of `key` in `directory`, or prepares to write it.
  /// @param log  receives warnings; may be empty
  PackedCache(const std::filesystem::path& directory, std::string key, Log log);

  std::span<const std::byte> find(const std::string& name, std::size_t bytes) override;
  void store(const std::string& name, std::span<const std::byte> bytes) noexcept override;

  /// The model is loaded: takes this object out of the backend and makes the new file, if one was written, visible to
  /// later loads. A mapped file stays: the weights lie in it.
  void finish(Backend& backend) noexcept;
  bool is_hit() const { return file_ != nullptr; }

 private:
  void give_up(const char* what) noexcept;

  Log log_;
  std::unique_ptr<PackedFile> file_;
  std::unique_ptr<PackedFileWriter> writer_;
};

/// The cache for this checkpoint, backend and format, in use by the backend; null without a directory, with a backend
/// that keeps nothing, and for files in memory, which have no time of change to tell them by.
std::unique_ptr<PackedCache> open_packed_cache(const std::filesystem::path& directory, const CheckpointFiles& files,
                                               const WeightStore& weights, WeightFormat format, Backend& backend,
                                               PackedCache::Log log);

}  // namespace qasr
