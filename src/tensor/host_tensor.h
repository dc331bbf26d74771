// HostTensor: a named tensor as a checkpoint holds it, borrowed from a memory-mapped file. This is what `weights`
// hands to a backend, which packs it into its own format. Values are read through tensor/widen.h, whatever the
// encoding; tensor/stored_blocks.h gives the integers where a backend can hold them as they are.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "tensor/dtype.h"
#include "tensor/tensor_view.h"

namespace qasr {

/// How elements lie in a file. All but the first are for matrices whose rows are whole blocks.
enum class Encoding : std::uint8_t {
  kPlain,      ///< an array of HostTensor::dtype
  kMlxAffine,  ///< bit-packed integers with scale and bias per group (tensor/affine_groups.h)
  kQ4_0,       ///< this and the following: blocks of ggml (tensor/ggml_blocks.h)
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ4K,
  kQ5K,
  kQ6K,
};

/// The parts of an MLX-quantised matrix [rows, cols] beside its integers.
struct AffineParts {
  int bits = 0;                       ///< 2, 3, 4, 5, 6 or 8
  std::int64_t group_size = 0;        ///< elements of a row that share scale and bias
  DType dtype = DType::kBf16;         ///< of scales and biases: bf16, f16 or f32
  std::span<const std::byte> scales;  ///< [rows, cols / group_size]
  std::span<const std::byte> biases;  ///< the same
};

struct HostTensor {
  std::string name;           ///< canonical name, for messages: "model.layers.3.mlp.gate_proj.weight"
  DType dtype = DType::kF32;  ///< of a plain tensor; kF32 for every other encoding, whose values are f32
  Shape shape;
  std::span<const std::byte> bytes{};  ///< row-major, little-endian, not necessarily aligned
  Encoding encoding = Encoding::kPlain;
  AffineParts affine{};        ///< kMlxAffine only
  bool channels_last = false;  ///< a plain kernel of `shape` [O, I, H, W] whose bytes lie as [O, H, W, I]
};

/// Bytes that `bytes` must have for shape and encoding. 0 for a shape the encoding cannot hold.
std::size_t encoded_bytes(const HostTensor& tensor);
/// Bytes in the file, scales and biases included.
std::size_t stored_bytes(const HostTensor& tensor);
/// "bf16", "q8_0", "mlx 4-bit, groups of 64"
std::string encoding_name(const HostTensor& tensor);

}  // namespace qasr
