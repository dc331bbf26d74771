// Assembles the kernel table of a vector type.
#pragma once

#include "backend/cpu/isa/gemm.h"
#include "backend/cpu/isa/kernel_table.h"
#include "backend/cpu/isa/quant_gemm.h"
#include "backend/cpu/isa/rowwise.h"

namespace qasr::cpu::isa {
namespace {

template <typename V>
constexpr KernelTable make_table(const char* name) {
  static_assert(V::kPanelVectors % 2 == 0 && V::kTileRows * V::kPanelVectors <= V::kAccumulators);
  return {.name = name,
          .lanes = V::kLanes,
          .panel_width = static_cast<std::size_t>(V::kPanelVectors) * V::kLanes,
          .tile_rows = V::kTileRows,
          .depth_block = V::kDepthBlock,
          .stream_product = stream_product<V>,
          .blocked_product = blocked_product<V>,
          .row_scratch_stride = row_scratch_stride<V>(),
          .quant_shape = {static_cast<std::size_t>(V::kDepthGroup), sizeof(typename V::X), V::kOffsetWeights},
          .quant_tile_rows = V::kQuantRows,
          .quant_scratch_bytes = quant_scratch_bytes<V>(),
          .quant_product = quant_product<V>,
          .quantize_row = quantize_row<V>,
          .finish_linear = finish_linear<V>,
          .finish_gate_up = finish_gate_up<V>,
          .layer_norm = layer_norm<V>,
          .rms_norm = rms_norm<V>,
          .rms_norm_rope = rms_norm_rope<V>,
          .softmax_step = softmax_step<V>,
          .scale = scale<V>,
          .add = add<V>,
          .max_element = max_element<V>};
}

}  // namespace
}  // namespace qasr::cpu::isa
