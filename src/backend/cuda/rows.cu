// Operations that move rows: gather, scatter, gather and add, embedding look-up. One block per row.
#include <vector>

#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/kernel_util.cuh"
#include "backend/cuda/launch.h"
#include "backend/cuda/weight_codes.cuh"
#include "backend/op_checks.h"

namespace qasr::cuda {
namespace {

// ---- device ---------------------------------------------------------------------------------------------------------

__device__ std::int64_t row_at(std::int64_t row, int dim) { return row * dim; }

__global__ void gather_add_kernel(const Bf16* x, const std::int32_t* x_rows, const float* table,
                                  const std::int32_t* table_rows, int dim, float* y) {
  const Bf16* a = x + row_at(x_rows[blockIdx.x], dim);
  const float* b = table + row_at(table_rows[blockIdx.x], dim);
  float* out = y + row_at(blockIdx.x, dim);
  for (int i = threadIdx.x; i < dim; i += blockDim.x) out[i] = __bfloat162float(a[i]) + b[i];
}

// Four elements at a time where the width allows it.
__device__ void copy_row(const float* from, int dim, float* to) {
  if (dim % 4 == 0) {
    for (int i = threadIdx.x * 4; i < dim; i += blockDim.x * 4) {
      store4(*reinterpret_cast<const float4*>(from + i), to + i);
    }
  } else {
    for (int i = threadIdx.x; i < dim; i += blockDim.x) to[i] = from[i];
  }
}

__global__ void gather_kernel(const float* x, const std::int32_t* x_rows, int dim, float* y) {
  copy_row(x + row_at(x_rows[blockIdx.x], dim), dim, y + row_at(blockIdx.x, dim));
}

__global__ void scatter_kernel(const float* x, const std::int32_t* y_rows, int dim, float* y) {
  copy_row(x + row_at(blockIdx.x, dim), dim, y + row_at(y_rows[blockIdx.x], dim));
}

__device__ float widen_one(Bf16 code) { return __bfloat162float(code); }
__device__ float widen_one(std::int8_t code) { return code; }
__device__ float widen_one(Fp8 code) { return __half2float(__half(__nv_cvt_fp8_to_halfraw(code.code, __NV_E4M3))); }

template <typename Code>
__global__ void embed_kernel(Codes<Code> table, const std::int32_t* ids, int dim, float* y) {
  let_next_start();
  wait_for_inputs();
  const std::int64_t row = ids[blockIdx.x], begin = row_at(row, dim);
  float* out = y + row_at(blockIdx.x, dim);
  for (int i = threadIdx.x; i < dim; i += blockDim.x) {
    float value = widen_one(table.codes[begin + i]);
    if constexpr (kHasBlockScales<Code>) value *= table.block_scale(begin + i);
    out[i] = value * table.row_scale(row);
  }
}

// ---- launch ---------------------------------------------------------------------------------------------------------

constexpr int kThreads = 256;

void launch_embed(Context& context, const CudaLinear& table, const std::int32_t* ids, TensorView y) {
  with_codes(table, [&](auto code) {
    launch_overlapped(context, "embed", static_cast<unsigned>(y.rows()), kThreads, embed_kernel<decltype(code)>,
                      codes_of<decltype(code)>(table), ids, static_cast<int>(y.cols()), y.as<float>());
  });
}

}  // namespace

void CudaBackend::gather_rows_add(ConstTensorView x, std::span<const std::int32_t> x_rows, ConstTensorView table,
                                  std::span<const std::int32_t> table_rows, TensorView y) {
  check_gather_rows_add(x, x_rows, table, table_rows, y, activation_dtype());
  if (x_rows.empty()) return;
  const Context::Use use(context_);
  std::vector<std::int32_t> both(x_rows.begin(), x_rows.end());
  both.insert(both.end(), table_rows.begin(), table_rows.end());
  const std::int32_t* rows = context_.upload_indices(both);
  gather_add_kernel<<<static_cast<unsigned>(x_rows.size()), kThreads, 0, context_.stream()>>>(
      x.as<Bf16>(), rows, table.as<float>(), rows + x_rows.size(), static_cast<int>(x.cols()), y.as<float>());
  check_launch("gather_rows_add");
}

void CudaBackend::gather_rows(ConstTensorView x, std::span<const std::int32_t> x_rows, TensorView y) {
  check_gather_rows(x, x_rows, y);
  if (x_rows.empty()) return;
  const Context::Use use(context_);
  gather_kernel<<<static_cast<unsigned>(x_rows.size()), kThreads, 0, context_.stream()>>>(
      x.as<float>(), context_.upload_indices(x_rows), static_cast<int>(x.cols()), y.as<float>());
  check_launch("gather_rows");
}

void CudaBackend::scatter_rows(ConstTensorView x, std::span<const std::int32_t> y_rows, TensorView y) {
  check_scatter_rows(x, y_rows, y);
  if (y_rows.empty()) return;
  const Context::Use use(context_);
  scatter_kernel<<<static_cast<unsigned>(y_rows.size()), kThreads, 0, context_.stream()>>>(
      x.as<float>(), context_.upload_indices(y_rows), static_cast<int>(x.cols()), y.as<float>());
  check_launch("scatter_rows");
}

void CudaBackend::embed(const LinearWeight& table, std::span<const std::int32_t> ids, TensorView y) {
  check_embed(table, ids, y);
  if (ids.empty()) return;
  const Context::Use use(context_);
  launch_embed(context_, static_cast<const CudaLinear&>(table), context_.upload_indices(ids), y);
}

// Ids on the GPU come from argmax_ids or were checked when they were uploaded.
void CudaBackend::embed_ids(const LinearWeight& table, ConstTensorView ids, TensorView y) {
  check_ids(ids, y.rows());
  check_matrix(y, y.rows(), table.in_features());
  if (y.rows() == 0) return;
  const Context::Use use(context_);
  launch_embed(context_, static_cast<const CudaLinear&>(table), ids.as<std::int32_t>(), y);
}

}  // namespace qasr::cuda
