// PackedMatrix: a weight matrix and its bias in the panels of the chosen instruction set (isa/kernel_table.h), packed
// once at load.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "backend/backend.h"
#include "backend/cpu/context.h"
#include "backend/cpu/packed_bytes.h"
#include "tensor/host_tensor.h"

namespace qasr::cpu {

/// Row `row` of tensor `tensor`; null: a row of zeros.
struct SourceRow {
  const HostTensor* tensor = nullptr;
  std::int64_t row = 0;
};

enum class Storage { kF32, kBf16, kQ8, kQ4G32, kQ4G64 };

/// How these tensors are stored under `format`.
Storage storage_of(std::span<const HostTensor> tensors, WeightFormat format);

constexpr bool is_quantized(Storage storage) { return storage != Storage::kF32 && storage != Storage::kBf16; }

struct PackedMatrix {
  Storage storage = Storage::kF32;
  isa::Panels panels;          ///< f32 and bf16
  isa::QuantPanels quant;      ///< the other storages
  std::size_t depth = 0;       ///< elements of a row, all segments together
  std::size_t n_segments = 1;  ///< equal parts of the depth whose blocks are padded apart: the taps of a convolution
  std::size_t n_features = 0;  ///< valid output features, where they are contiguous
  PackedBytes weights, bias;   ///< bias: f32 for every column of every panel; empty: none

  const float* bias_from(std::size_t feature) const {
    return bias.bytes() == 0 ? nullptr : reinterpret_cast<const float*>(bias.data()) + feature;
  }
  /// Panels [begin, begin + count).
  isa::Panels slice(std::size_t begin, std::size_t count) const;
  isa::QuantPanels quant_slice(std::size_t begin, std::size_t count) const;
  std::size_t n_panels() const { return cpu::is_quantized(storage) ? quant.n_panels : panels.n_panels; }
  std::size_t panel_bytes() const { return n_panels() == 0 ? 0 : weights.bytes() / n_panels(); }
  std::size_t bytes() const { return weights.bytes() + bias.bytes(); }
};

/// What to pack: column c of the packed matrix (panel c / NR) is source_row(c); element k of the packed row is element
/// depth_order(k) of the source row, identity where empty.
struct PackSource {
  std::span<const HostTensor> tensors;
  std::size_t depth = 0;
  std::size_t n_panels = 0;
  std::size_t n_segments = 1;
  std::function<SourceRow(std::size_t)> source_row;
  std::function<std::size_t(std::size_t)> depth_order{};

  /// Whether the tensors' own integers are those of `storage`, in the order of the depth: nothing is rounded then.
  bool holds(Storage storage) const;
  /// Column `column` in depth order, zeros where there is no source.    to [depth]    spare [depth] scratch
  void read_column(std::size_t column, float* to, float* spare) const;
};

/// @throws Error kModel (a dtype that is no float), kInternal (bytes do not match the shape), kOutOfMemory
PackedMatrix pack_matrix(const Context& context, const PackSource& source, Storage storage);

/// Packs panel number `panel` into panel_bytes bytes at `to`.    row, spare  [source.depth] scratch
using PackPanel = std::function<void(std::size_t panel, float* row, float* spare, std::byte* to)>;

/// The panels of a matrix, by all threads, unless an earlier run has packed them.
PackedBytes pack_panels(const Context& context, const PackSource& source, std::size_t panel_bytes,
                        const PackPanel& pack_panel);

/// The quantised storages of pack_matrix.
PackedMatrix pack_quantized(const Context& context, const PackSource& source, Storage storage);

/// Gives the matrix a bias, one value per column; columns beyond it get zero.
void pack_bias(const Context& context, std::span<const HostTensor> biases, PackedMatrix& matrix);

/// Feature `feature` of the matrix as f32.    to  [in_features]
void unpack_feature(const Context& context, const PackedMatrix& matrix, std::size_t feature, float* to);
void unpack_quantized_feature(const Context& context, const PackedMatrix& matrix, std::size_t feature, float* to);

}  // namespace qasr::cpu
