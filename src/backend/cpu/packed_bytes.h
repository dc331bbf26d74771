// PackedBytes: the memory of packed weights, the backend's own or borrowed from PackedSections.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "backend/cpu/context.h"
#include "backend/packed_sections.h"

namespace qasr::cpu {

class PackedBytes {
 public:
  PackedBytes() = default;
  PackedBytes(WeightMemory::Part own, std::size_t bytes) : block_(std::move(own.block)), bytes_({own.data, bytes}) {}
  explicit PackedBytes(std::span<const std::byte> borrowed) : bytes_(borrowed) {}

  const std::byte* data() const { return bytes_.data(); }
  std::size_t bytes() const { return bytes_.size(); }

 private:
  std::shared_ptr<AlignedBuffer> block_;  // null: borrowed
  std::span<const std::byte> bytes_;
};

/// The section `name` of an earlier run if there is one, else what `fill` writes into new memory.
inline PackedBytes find_or_pack(const Context& context, const std::string& name, std::size_t bytes,
                                const std::function<void(std::byte*)>& fill) {
  if (context.sections != nullptr) {
    const std::span<const std::byte> found = context.sections->find(name, bytes);
    if (found.size() == bytes && bytes > 0) return PackedBytes(found);
  }
  WeightMemory::Part memory = context.weight_memory.take(bytes);
  fill(memory.data);
  if (context.sections != nullptr) context.sections->store(name, {memory.data, bytes});
  return PackedBytes(std::move(memory), bytes);
}

}  // namespace qasr::cpu
