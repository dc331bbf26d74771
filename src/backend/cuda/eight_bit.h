// Matrices held in 8 bits: making them, and what products of many rows need.
#pragma once

#include "backend/cuda/cuda_backend.h"

namespace qasr::cuda {

/// Rows [first_row, first_row + n_rows) of w from bf16 values: kQ8 or kFp8.
///   values [n_rows, in] bf16
void encode_rows(Context& context, const Bf16* values, std::int64_t first_row, std::int64_t n_rows, CudaLinear& w);

/// The other way.
void widen_rows(Context& context, const CudaLinear& w, std::int64_t first_row, std::int64_t n_rows, Bf16* values);

/// Rows of activations as e4m3 codes with one scale each: the largest magnitude over 448.
///   x [rows, in] bf16    codes [rows, in]    scales [rows]
void encode_activations(Context& context, const Bf16* x, std::int64_t rows, std::int64_t in, void* codes,
                        float* scales);

}  // namespace qasr::cuda
