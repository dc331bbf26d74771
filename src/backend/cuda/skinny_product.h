// Products of few rows (decode steps of a few sequences): limited by reading the weights once, so own kernels that
// stream them and finish the result (bias, GELU, residual, SwiGLU) in registers.
#pragma once

#include "backend/cuda/cuda_backend.h"

namespace qasr::cuda {

/// Rows up to which the skinny kernels are used: from there on each load from the cache serves too few weights, and
/// cuBLASLt is faster (a decode step of 8 sequences took 1.72 ms here, one of 16 there 1.64 ms).
constexpr std::int64_t kSkinnyRows = 4;

/// Backend::linear for 1 <= rows <= kSkinnyRows.
void skinny_linear(Context& context, ConstTensorView x, const CudaLinear& w, TensorView y,
                   const LinearOptions& options);

/// RMSNorm of x [rows, in] f32, then the product, without bias. The same limit of rows.
void skinny_norm_linear(Context& context, ConstTensorView x, const RmsNorm& norm, const CudaLinear& w, TensorView y);

/// Backend::gate_up_silu for 1 <= rows <= kSkinnyRows.
void skinny_gate_up_silu(Context& context, ConstTensorView x, const CudaLinear& gate_up, TensorView y);
/// Backend::norm_gate_up_silu for as many.
void skinny_norm_gate_up_silu(Context& context, ConstTensorView x, const RmsNorm& norm, const CudaLinear& gate_up,
                              TensorView y);

}  // namespace qasr::cuda
