// Matrix products of many rows through cuBLASLt, with plans kept per shape.
#pragma once

#include <cublasLt.h>
#include <cuda_bf16.h>

#include <cstdint>
#include <map>
#include <tuple>

#include "backend/cuda/context.h"

namespace qasr::cuda {

/// y = x w^T, or y += x w^T, f32 sums. With scales, x and w are e4m3 codes: element times the scale of its row.
struct Product {
  const void* x = nullptr;                   ///< [rows, in] bf16 or codes
  const void* w = nullptr;                   ///< [out, in] bf16 or codes
  const float* x_scales = nullptr;           ///< [rows] or null
  const float* w_scales = nullptr;           ///< [out] or null
  const float* bias = nullptr;               ///< [out] or null
  const __nv_bfloat16* bias_bf16 = nullptr;  ///< the same, for bf16 outputs
  void* y = nullptr;                         ///< [rows, out], f32 or bf16
  std::int64_t rows = 0, out = 0, in = 0;
  std::int64_t y_stride = 0;  ///< elements between rows of y; 0: out
  bool f32_output = false;
  bool accumulate = false;
};

class Matmul {
 public:
  explicit Matmul(Context& context);
  ~Matmul();
  Matmul(const Matmul&) = delete;
  Matmul& operator=(const Matmul&) = delete;

  /// Whether products of e4m3 codes with scales per row exist: on sm_90, with a cuBLASLt of CUDA 12.9 or newer.
  bool has_fp8() const { return has_fp8_; }
  std::size_t library_version() const;

  /// Returns true if the bias, if there is one, has been added; some combinations of types and sizes cannot.
  bool run(const Product& product);

 private:
  // rows, out, in, stride of y, f32 output, accumulate, bias, codes
  using Key = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, bool, bool, bool, bool>;
  struct Plan;
  Plan& plan_of(const Product& product);
  bool choose_algorithm(Plan& plan);

  Context& context_;
  cublasLtHandle_t handle_ = nullptr;
  bool has_fp8_ = false;
  std::map<Key, Plan> plans_;
};

}  // namespace qasr::cuda
