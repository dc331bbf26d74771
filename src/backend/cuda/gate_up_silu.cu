// y = silu(x Wg^T) * (x Wu^T). Rows [0, d_ff) of the stacked matrix are the gate, [d_ff, 2 d_ff) are up.
#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/kernel_util.cuh"
#include "backend/cuda/launch.h"
#include "backend/cuda/skinny_product.h"
#include "backend/op_checks.h"

namespace qasr::cuda {
namespace {

// ---- device ---------------------------------------------------------------------------------------------------------

//   product [rows, 2 d_ff] bf16    y [rows, d_ff] bf16; eight elements a thread
__global__ void silu_mul_kernel(const Bf16* product, int d_ff, std::int64_t n, Bf16* y, Upcoming upcoming) {
  let_next_start();
  prefetch_share(upcoming);
  wait_for_inputs();
  const std::int64_t at = (static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * 8;
  if (at >= n) return;
  const std::int64_t row = at / d_ff;
  const Bf16* gate_at = product + row * d_ff + at;  // 2 d_ff row + column
  float gate[8], up[8];
  widen8(*reinterpret_cast<const uint4*>(gate_at), gate);
  widen8(*reinterpret_cast<const uint4*>(gate_at + d_ff), up);
#pragma unroll
  for (int i = 0; i < 8; ++i) gate[i] = silu(gate[i]) * up[i];
  *reinterpret_cast<uint4*>(y + at) = narrow8(gate);
}

// ---- launch ---------------------------------------------------------------------------------------------------------

constexpr int kThreads = 256;

}  // namespace

void CudaBackend::gate_up_silu(ConstTensorView x, const LinearWeight& gate_up, TensorView y) {
  check_gate_up(x, gate_up, y, activation_dtype());
  if (x.rows() == 0) return;
  const Context::Use use(context_);
  const auto& w = static_cast<const CudaLinear&>(gate_up);
  if (x.rows() <= kSkinnyRows) return skinny_gate_up_silu(context_, x, w, y);
  Bf16* product = context_.scratch<Bf16>(Scratch::kProduct, x.rows() * w.out_features());
  multiply({.x = x.data, .y = product, .rows = x.rows()}, w);
  const std::int64_t n = y.shape.elements();
  launch_overlapped(context_, "gate_up_silu", blocks_for(n / 8, kThreads), kThreads, silu_mul_kernel, product,
                    static_cast<int>(y.cols()), n, y.as<Bf16>(), upcoming_for(context_, x.rows()));
}

}  // namespace qasr::cuda
