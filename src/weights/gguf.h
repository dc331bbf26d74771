// The GGUF container, versions 2 and 3: metadata and tensors of one file. Little-endian.
//
//   "GGUF"  u32 version  u64 n_tensors  u64 n_pairs
//   n_pairs  x { string key, u32 type, value }       string: u64 length, bytes
//   n_tensors x { string name, u32 n_dims, u64 dims (fastest varying first), u32 type, u64 offset }
//   padding to general.alignment (32 if absent); then the tensors' bytes, whose offsets count from here
//
// The reader trusts nothing: counts are compared with the bytes that are there before anything is allocated.
// Source: ggml-org/ggml docs/gguf.md.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "weights/safetensors.h"

namespace qasr {

/// An array of metadata: its elements stay in the file. Arrays of arrays do not occur and are refused.
struct GgufArray {
  std::uint32_t type = 0;  ///< of the elements; 8: strings
  std::uint64_t count = 0;
  std::span<const std::byte> bytes;
};

class GgufFile {
 public:
  using Value = std::variant<std::uint64_t, std::int64_t, double, bool, std::string_view, GgufArray>;

  /// Borrows the bytes.
  /// @param where  names the file in messages
  /// @throws Error kModel  naming file, key or tensor, found and expected
  GgufFile(std::span<const std::byte> file, std::string where);

  const std::string& where() const { return where_; }
  /// general.architecture, "" if absent.
  std::string architecture() const { return text_or("general.architecture", ""); }
  const std::vector<std::string>& keys() const { return keys_; }
  bool has(std::string_view key) const { return find(key) != nullptr; }

  /// An integer, whatever its width; none if the key is absent.  @throws Error kModel  another type, or outside the
  /// range
  std::optional<std::int64_t> integer(std::string_view key, std::int64_t low, std::int64_t high) const;
  std::optional<double> number(std::string_view key) const;
  std::string text_or(std::string_view key, const std::string& fallback) const;
  /// Calls visit for every string of an array. @return false if the key is absent. @throws Error kModel  other type
  bool each_string(std::string_view key, const std::function<void(std::string_view)>& visit) const;
  /// The integers of an array; empty if absent.
  std::vector<std::int64_t> integers(std::string_view key) const;

  /// Dims in the order of PyTorch (slowest varying first), sorted by position.
  const std::vector<StoredTensor>& tensors() const { return tensors_; }
  /// Everything before the tensors' bytes.
  std::span<const std::byte> header() const { return file_.first(header_bytes_); }

 private:
  friend class GgufParser;
  const Value* find(std::string_view key) const;
  [[noreturn]] void fail_type(std::string_view key, const char* expected) const;

  std::span<const std::byte> file_;
  std::string where_;
  std::vector<std::string> keys_;
  std::unordered_map<std::string, Value> values_;
  std::vector<StoredTensor> tensors_;
  std::size_t header_bytes_ = 0;
};

}  // namespace qasr
