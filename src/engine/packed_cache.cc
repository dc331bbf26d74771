#include "engine/packed_cache.h"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <utility>

#include "base/checksum.h"
#include "base/cpu_topology.h"
#include "tensor/stored_blocks.h"
#include "weights/checkpoint_key.h"

namespace qasr {
namespace {

std::string file_name(const std::string& key) {
  char name[40];
  const auto hash = checksum(std::as_bytes(std::span(key)));
  std::snprintf(name, sizeof name, "%016llx.qasrpack", static_cast<unsigned long long>(hash));
  return name;
}

}  // namespace

PackedCache::PackedCache(const std::filesystem::path& directory, std::string key, Log log) : log_(std::move(log)) {
  const std::filesystem::path path = directory / file_name(key);
  try {
    std::error_code missing;
    if (std::filesystem::exists(path, missing)) {
      file_ = std::make_unique<PackedFile>(path, key, cpu_budget().n_cores);
      return;
    }
  } catch (const std::exception& error) {
    if (log_) log_(std::string("warning: packed weights are made anew: ") + error.what());
  }
  try {
    writer_ = std::make_unique<PackedFileWriter>(path, std::move(key));
  } catch (const std::exception& error) {
    give_up(error.what());
  }
}

std::span<const std::byte> PackedCache::find(const std::string& name, std::size_t bytes) {
  if (file_ == nullptr) return {};
  const std::span<const std::byte> found = file_->find(name);
  return found.size() == bytes ? found : std::span<const std::byte>();
}

void PackedCache::store(const std::string& name, std::span<const std::byte> bytes) noexcept {
  if (writer_ == nullptr) return;
  try {
    writer_->add(name, bytes);
  } catch (const std::exception& error) {
    give_up(error.what());
  }
}

void PackedCache::finish(Backend& backend) noexcept {
  backend.use_packed_sections(nullptr);
  if (writer_ == nullptr) return;
  try {
    writer_->finish();
    writer_.reset();
  } catch (const std::exception& error) {
    give_up(error.what());
  }
}

void PackedCache::give_up(const char* what) noexcept {
  writer_.reset();  // removes what was written
  try {
    if (log_) log_(std::string("warning: packed weights are not kept: ") + what);
  } catch (...) {  // out of memory, or the caller's log failed: not this load's concern
  }
}

std::unique_ptr<PackedCache> open_packed_cache(const std::filesystem::path& directory, const CheckpointFiles& files,
                                               const WeightStore& weights, WeightFormat format, Backend& backend,
                                               PackedCache::Log log) {
  const std::string layout = backend.packed_layout();
  if (directory.empty() || layout.empty() || !files.are_mapped()) return nullptr;
  // Automatic is q8, but for checkpoints with matrices that stay what they are.
  const auto stays = [](const HostTensor& tensor) { return stored_format(tensor).has_value(); };
  const bool is_q8 = std::none_of(weights.all().begin(), weights.all().end(), stays);
  const WeightFormat meant = format == WeightFormat::kAuto && is_q8 ? WeightFormat::kQ8 : format;
  std::string key = "layout " + layout + "\nformat " + std::to_string(static_cast<int>(meant)) + "\n";
  auto cache = std::make_unique<PackedCache>(directory, key + checkpoint_key(files, weights), std::move(log));
  backend.use_packed_sections(cache.get());
  return cache;
}

}  // namespace qasr
