// PackedSections: packed weights that survive the process. A backend asks for bytes it packed in an earlier run before
// it packs, and offers what it did pack. Only the backend knows what the bytes mean; whoever implements this knows
// where they are kept.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace qasr {

class PackedSections {
 public:
  virtual ~PackedSections() = default;

  /// The bytes stored under `name`, aligned to at least 64, valid as long as any weight made from them; empty if there
  /// are none or not exactly `bytes` of them.
  virtual std::span<const std::byte> find(const std::string& name, std::size_t bytes) = 0;
  /// Offers bytes for a later run. Never fails: what cannot be kept is not.
  virtual void store(const std::string& name, std::span<const std::byte> bytes) noexcept = 0;
};

}  // namespace qasr
