// Matrix products of many rows through cuBLASLt, with plans kept per shape.
#pragma once

#include <cublasLt.h>
#include <cuda_bf16.h>

#include <cstdint>
#include <map>
#include <tuple>

#include "backend/cuda/context.h"

namespace qasr::cuda {

/// y = x w^T, or y += x w^T, f32 sums.
struct Product {
  const __nv_bfloat16* x = nullptr;          ///< [rows, in]
  const __nv_bfloat16* w = nullptr;          ///< [out, in]
  const float* bias = nullptr;               ///< [out] or null
  const __nv_bfloat16* bias_bf16 = nullptr;  ///< the same, for bf16 outputs
  void* y = nullptr;                         ///< [rows, out], f32 or bf16
  std::int64_t rows = 0, out = 0, in = 0;
  bool f32_output = false;
  bool accumulate = false;
};

class Matmul {
 public:
  explicit Matmul(Context& context);
  ~Matmul();
  Matmul(const Matmul&) = delete;
  Matmul& operator=(const Matmul&) = delete;

  /// Returns true if the bias, if there is one, has been added; some combinations of types and sizes cannot.
  bool run(const Product& product);

 private:
  // rows, out, in, f32 output, accumulate, bias
  using Key = std::tuple<std::int64_t, std::int64_t, std::int64_t, bool, bool, bool>;
  struct Plan;
  Plan& plan_of(const Product& product);
  bool choose_algorithm(Plan& plan);

  Context& context_;
  cublasLtHandle_t handle_ = nullptr;
  std::map<Key, Plan> plans_;
};

}  // namespace qasr::cuda
