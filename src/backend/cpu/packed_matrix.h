// PackedMatrix: a weight matrix and its bias in the panels of the chosen instruction set (isa/kernel_table.h), packed
// once at load.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "backend/backend.h"
#include "backend/cpu/context.h"
#include "base/aligned_buffer.h"
#include "tensor/host_tensor.h"

namespace qasr::cpu {

/// Row `row` of tensor `tensor`; null: a row of zeros.
struct SourceRow {
  const HostTensor* tensor = nullptr;
  std::int64_t row = 0;
};

struct PackedMatrix {
  isa::Panels panels;
  std::size_t n_features = 0;   ///< valid output features, where they are contiguous
  AlignedBuffer weights, bias;  ///< bias: f32 for every column of every panel; empty: none

  const float* bias_from(std::size_t feature) const {
    return bias.bytes() == 0 ? nullptr : reinterpret_cast<const float*>(bias.data()) + feature;
  }
  /// Panels [begin, begin + count).
  isa::Panels slice(std::size_t begin, std::size_t count) const;
  std::size_t bytes() const { return weights.bytes() + bias.bytes(); }
};

/// Whether these tensors are stored as bf16 under `format`.
bool stores_bf16(std::span<const HostTensor> tensors, WeightFormat format);

/// Packs n_panels panels. Column c of the packed matrix (panel c / NR) is source_row(c); element k of the packed row is
/// element depth_order(k) of the source row, identity where empty.
/// @throws Error kModel (a dtype that is no float), kInternal (bytes do not match the shape), kOutOfMemory
PackedMatrix pack_matrix(const Context& context, std::span<const HostTensor> tensors, std::size_t depth,
                         std::size_t n_panels, bool as_bf16, const std::function<SourceRow(std::size_t)>& source_row,
                         const std::function<std::size_t(std::size_t)>& depth_order = {});

/// Gives the matrix a bias, one value per column; columns beyond it get zero.
void pack_bias(const Context& context, std::span<const HostTensor> biases, PackedMatrix& matrix);

/// Feature `feature` of the matrix as f32.    to  [depth]
void unpack_feature(const Context& context, const PackedMatrix& matrix, std::size_t feature, float* to);

}  // namespace qasr::cpu
