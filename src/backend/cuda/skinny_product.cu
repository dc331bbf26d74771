// See skinny_product.h. A warp computes kOutputs rows of the weight matrix against all rows of x: lane l reads elements
// 8 l ... 8 l + 7 of every 256, several loads ahead of their use; lanes are summed at the end. x stays in the L1 cache.
#include "backend/cuda/kernel_util.cuh"
#include "backend/cuda/launch.h"
#include "backend/cuda/skinny_product.h"

namespace qasr::cuda {
namespace {

// ---- device ---------------------------------------------------------------------------------------------------------

constexpr int kWarps = 4;
constexpr int kStep = 8 * kWarp;  // elements a warp reads of one row at once

struct Finish {
  const float* bias;  // [out] or null
  bool gelu, accumulate;
};

// Read once: not worth a place in L1.
__device__ uint4 load_streamed(const Bf16* from) {
  uint4 v;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];\n"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(from));
  return v;
}

// Sums of kRows rows of x with kOutputs rows of w, complete in every lane. Rows of x from n_rows on repeat the last.
// The first weights are on their way before x is known to be there.
template <int kRows, int kOutputs>
__device__ void dot_products(const Bf16* x, int n_rows, const Bf16* const (&w)[kOutputs], int in,
                             float (&sums)[kRows][kOutputs]) {
  constexpr int kAhead = kOutputs >= 4 ? 2 : 4;
  uint4 loaded[kAhead][kOutputs];
  const auto fetch = [&](int begin) {
#pragma unroll
    for (int ahead = 0; ahead < kAhead; ++ahead) {
#pragma unroll
      for (int output = 0; output < kOutputs; ++output) {
        const int k = begin + ahead * kStep;
        loaded[ahead][output] = k < in ? load_streamed(w[output] + k) : make_uint4(0, 0, 0, 0);
      }
    }
  };
  int begin = threadIdx.x % kWarp * 8;
  fetch(begin);
#pragma unroll
  for (int row = 0; row < kRows; ++row) {
#pragma unroll
    for (int output = 0; output < kOutputs; ++output) sums[row][output] = 0;
  }
  wait_for_inputs();
  while (begin < in) {
#pragma unroll
    for (int ahead = 0; ahead < kAhead; ++ahead) {
      const int k = begin + ahead * kStep;
      if (k >= in) break;
      float weights[kOutputs][8];
#pragma unroll
      for (int output = 0; output < kOutputs; ++output) widen8(loaded[ahead][output], weights[output]);
#pragma unroll
      for (int row = 0; row < kRows; ++row) {
        const std::int64_t x_row = row < n_rows ? row : n_rows - 1;
        float values[8];
        widen8(*reinterpret_cast<const uint4*>(x + x_row * in + k), values);
#pragma unroll
        for (int output = 0; output < kOutputs; ++output) {
#pragma unroll
          for (int i = 0; i < 8; ++i) sums[row][output] += weights[output][i] * values[i];
        }
      }
    }
    begin += kAhead * kStep;
    fetch(begin);
  }
#pragma unroll
  for (int row = 0; row < kRows; ++row) {
#pragma unroll
    for (int output = 0; output < kOutputs; ++output) sums[row][output] = warp_sum(sums[row][output]);
  }
}

template <int kRows, int kOutputs, typename Out>
__global__ __launch_bounds__(kWarps* kWarp) void linear_kernel(const Bf16* x, int n_rows, const Bf16* w, int in,
                                                               int out, Finish finish, Out* y) {
  const int first = (blockIdx.x * kWarps + threadIdx.x / kWarp) * kOutputs;
  let_next_start();
  const Bf16* w_rows[kOutputs];
#pragma unroll
  for (int output = 0; output < kOutputs; ++output) {
    w_rows[output] = w + static_cast<std::int64_t>(min(first + output, out - 1)) * in;
  }
  float sums[kRows][kOutputs];
  dot_products<kRows, kOutputs>(x, n_rows, w_rows, in, sums);

  const int lane = threadIdx.x % kWarp;
#pragma unroll
  for (int row = 0; row < kRows; ++row) {
#pragma unroll
    for (int output = 0; output < kOutputs; ++output) {
      if (lane != row * kOutputs + output || row >= n_rows || first + output >= out) continue;
      const int column = first + output;
      float value = sums[row][output] + (finish.bias != nullptr ? finish.bias[column] : 0.0f);
      if (finish.gelu) value = gelu(value);
      Out* to = y + static_cast<std::int64_t>(row) * out + column;
      if constexpr (sizeof(Out) == 4) {
        if (finish.accumulate) value += *to;
      }
      store(value, to);
    }
  }
}

// Half of a warp's rows are gates, the other half the matching rows of up.
template <int kRows>
__global__ __launch_bounds__(kWarps* kWarp) void gate_up_kernel(const Bf16* x, int n_rows, const Bf16* w, int in,
                                                                int d_ff, Bf16* y) {
  constexpr int kPairs = 2;
  const int first = (blockIdx.x * kWarps + threadIdx.x / kWarp) * kPairs;
  let_next_start();
  const Bf16* w_rows[2 * kPairs];
#pragma unroll
  for (int pair = 0; pair < kPairs; ++pair) {
    const std::int64_t feature = min(first + pair, d_ff - 1);
    w_rows[pair] = w + feature * in;
    w_rows[kPairs + pair] = w + (d_ff + feature) * in;
  }
  float sums[kRows][2 * kPairs];
  dot_products<kRows, 2 * kPairs>(x, n_rows, w_rows, in, sums);
  const int lane = threadIdx.x % kWarp;
#pragma unroll
  for (int row = 0; row < kRows; ++row) {
#pragma unroll
    for (int pair = 0; pair < kPairs; ++pair) {
      if (lane != row * kPairs + pair || row >= n_rows || first + pair >= d_ff) continue;
      store(silu(sums[row][pair]) * sums[row][kPairs + pair], y + static_cast<std::int64_t>(row) * d_ff + first + pair);
    }
  }
}

// ---- launch ---------------------------------------------------------------------------------------------------------

// More outputs per warp use each read of x more often; fewer give enough warps to keep memory busy.
template <int kRows, typename Out>
void launch_linear(Context& context, const Bf16* x, int n_rows, const CudaLinear& w, Finish finish, Out* y) {
  const int in = static_cast<int>(w.in_features()), out = static_cast<int>(w.out_features());
  const std::int64_t busy_warps = 8LL * context.n_multiprocessors();
  const auto run = [&](int outputs, auto kernel) {
    const unsigned blocks = blocks_for(ceil_div(out, outputs), kWarps);
    launch_overlapped(context, "linear", blocks, kWarps * kWarp, kernel, x, n_rows, w.w(), in, out, finish, y);
  };
  if (out >= 4 * busy_warps) {
    run(4, linear_kernel<kRows, 4, Out>);
  } else if (out >= 2 * busy_warps) {
    run(2, linear_kernel<kRows, 2, Out>);
  } else {
    run(1, linear_kernel<kRows, 1, Out>);
  }
}

template <typename Out>
void launch_linear_rows(Context& context, const Bf16* x, int n_rows, const CudaLinear& w, Finish finish, Out* y) {
  if (n_rows == 1) return launch_linear<1>(context, x, n_rows, w, finish, y);
  if (n_rows == 2) return launch_linear<2>(context, x, n_rows, w, finish, y);
  launch_linear<4>(context, x, n_rows, w, finish, y);
}

template <int kRows>
void launch_gate_up(Context& context, const Bf16* x, int n_rows, const CudaLinear& w, Bf16* y) {
  const int in = static_cast<int>(w.in_features()), d_ff = static_cast<int>(w.out_features() / 2);
  launch_overlapped(context, "gate_up_silu", blocks_for(ceil_div(d_ff, 2), kWarps), kWarps * kWarp,
                    gate_up_kernel<kRows>, x, n_rows, w.w(), in, d_ff, y);
}

}  // namespace

void skinny_linear(Context& context, ConstTensorView x, const CudaLinear& w, TensorView y,
                   const LinearOptions& options) {
  const int n_rows = static_cast<int>(x.rows());
  const Finish finish{w.has_bias() ? w.b() : nullptr, options.activation == Activation::kGelu, options.accumulate};
  if (y.dtype == DType::kF32) {
    launch_linear_rows(context, x.as<Bf16>(), n_rows, w, finish, y.as<float>());
  } else {
    launch_linear_rows(context, x.as<Bf16>(), n_rows, w, finish, y.as<Bf16>());
  }
}

void skinny_gate_up_silu(Context& context, ConstTensorView x, const CudaLinear& gate_up, TensorView y) {
  const int n_rows = static_cast<int>(x.rows());
  if (n_rows == 1) return launch_gate_up<1>(context, x.as<Bf16>(), n_rows, gate_up, y.as<Bf16>());
  if (n_rows == 2) return launch_gate_up<2>(context, x.as<Bf16>(), n_rows, gate_up, y.as<Bf16>());
  launch_gate_up<4>(context, x.as<Bf16>(), n_rows, gate_up, y.as<Bf16>());
}

}  // namespace qasr::cuda
