// See skinny_product.h. A warp computes kOutputs rows of the weight matrix against all rows of x: a lane reads 16 bytes
// of every 512 of a row, several loads ahead of their use; lanes are summed at the end. x lies in shared memory.
#include "backend/cuda/kernel_util.cuh"
#include "backend/cuda/launch.h"
#include "backend/cuda/skinny_product.h"
#include "backend/cuda/weight_codes.cuh"

namespace qasr::cuda {
namespace {

// ---- device ---------------------------------------------------------------------------------------------------------

constexpr int kWarps = 4;

// What becomes of a sum, and where it goes.
struct Finish {
  const float* bias;  // [out] or null
  bool gelu, accumulate;
  void* y;  // [rows, out] f32 or bf16
  bool f32;
  __device__ void put(float value, std::int64_t at, int column) const {
    if (bias != nullptr) value += bias[column];
    if (gelu) value = qasr::cuda::gelu(value);
    if (!f32) return store(value, static_cast<Bf16*>(y) + at);
    float* to = static_cast<float*>(y) + at;
    *to = accumulate ? *to + value : value;
  }
};

// Rows of x as they are: [rows, in] bf16.
struct PlainRows {
  const Bf16* x;
  // Copies n rows to shared memory.
  template <int kRows>
  __device__ void stage(int n, int in, Bf16* to, float (&scale)[kRows]) const {
    for (int i = threadIdx.x * 8; i < n * in; i += kWarps * kWarp * 8) {
      *reinterpret_cast<uint4*>(to + i) = *reinterpret_cast<const uint4*>(x + i);
    }
    __syncthreads();
#pragma unroll
    for (float& s : scale) s = 1;
  }
};

// RMSNorm of rows of x [rows, in] f32: x * weight goes to shared memory, sums are multiplied by one over the root mean
// square at the end.
struct NormedRows {
  const float *x, *weight;
  float eps;
  template <int kRows>
  __device__ void stage(int n, int in, Bf16* to, float (&scale)[kRows]) const {
    __shared__ float squares[kRows][kWarps];
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
#pragma unroll
    for (int row = 0; row < kRows; ++row) {
      if (row >= n) break;
      const float* from = x + row * in;
      float sum = 0;
      for (int i = threadIdx.x * 4; i < in; i += kWarps * kWarp * 4) {
        const float4 v = *reinterpret_cast<const float4*>(from + i), w = *reinterpret_cast<const float4*>(weight + i);
        sum += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
        store4(make_float4(v.x * w.x, v.y * w.y, v.z * w.z, v.w * w.w), to + row * in + i);
      }
      sum = warp_sum(sum);
      if (lane == 0) squares[row][warp] = sum;
    }
    __syncthreads();
#pragma unroll
    for (int row = 0; row < kRows; ++row) {
      float sum = 0;
#pragma unroll
      for (int w = 0; w < kWarps; ++w) sum += squares[min(row, n - 1)][w];
      scale[row] = rsqrtf(sum / in + eps);
    }
  }
};

// Read once: not worth a place in L1.
__device__ uint4 load_streamed(const void* from) {
  uint4 v;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];\n"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(from));
  return v;
}

// Sums of kRows rows of x with rows w_rows[...] of w, complete in every lane. Rows of x from n_rows on repeat the last.
// The first weights are on their way before x is known to be there.
template <int kRows, int kOutputs, typename Rows, typename Code>
__device__ void dot_products(const Rows& x, int n_rows, const Codes<Code>& w, const int (&w_rows)[kOutputs], int in,
                             const Upcoming& upcoming, float (&sums)[kRows][kOutputs]) {
  extern __shared__ uint4 shared[];
  constexpr int kWord = kCodesPerWord<Code>, kStep = kWord * kWarp;
  constexpr int kAhead = kOutputs >= 4 ? 4 : kOutputs == 2 ? 6 : 12;
  uint4 loaded[kAhead][kOutputs];
  float scales[kAhead][kOutputs];
  const auto fetch = [&](int begin) {
#pragma unroll
    for (int ahead = 0; ahead < kAhead; ++ahead) {
#pragma unroll
      for (int output = 0; output < kOutputs; ++output) {
        const int k = begin + ahead * kStep;
        const std::int64_t at = static_cast<std::int64_t>(w_rows[output]) * in + k;
        loaded[ahead][output] = k < in ? load_streamed(w.codes + at) : make_uint4(0, 0, 0, 0);
        if constexpr (kHasBlockScales<Code>) scales[ahead][output] = k < in ? w.block_scale(at) : 0.0f;
      }
    }
  };
  int begin = threadIdx.x % kWarp * kWord;
  fetch(begin);
  prefetch_share(upcoming);
#pragma unroll
  for (int row = 0; row < kRows; ++row) {
#pragma unroll
    for (int output = 0; output < kOutputs; ++output) sums[row][output] = 0;
  }
  auto* rows = reinterpret_cast<Bf16*>(shared);
  float row_scale[kRows];
  wait_for_inputs();
  x.stage(n_rows, in, rows, row_scale);
  while (begin < in) {
#pragma unroll
    for (int ahead = 0; ahead < kAhead; ++ahead) {
      const int k = begin + ahead * kStep;
      if (k >= in) break;
      float weights[kOutputs][kWord];
#pragma unroll
      for (int output = 0; output < kOutputs; ++output) widen_codes<Code>(loaded[ahead][output], weights[output]);
#pragma unroll
      for (int row = 0; row < kRows; ++row) {
        const Bf16* from = rows + min(row, n_rows - 1) * in + k;
        float part[kOutputs] = {};
#pragma unroll
        for (int word = 0; word < kWord / 8; ++word) {
          float values[8];
          widen8(*reinterpret_cast<const uint4*>(from + word * 8), values);
#pragma unroll
          for (int output = 0; output < kOutputs; ++output) {
#pragma unroll
            for (int i = 0; i < 8; ++i) part[output] += weights[output][word * 8 + i] * values[i];
          }
        }
#pragma unroll
        for (int output = 0; output < kOutputs; ++output) {
          if constexpr (kHasBlockScales<Code>) part[output] *= scales[ahead][output];
          sums[row][output] += part[output];
        }
      }
    }
    begin += kAhead * kStep;
    if (begin < in) fetch(begin);
  }
#pragma unroll
  for (int output = 0; output < kOutputs; ++output) {
    const float scale = w.row_scale(w_rows[output]);
#pragma unroll
    for (int row = 0; row < kRows; ++row) sums[row][output] = warp_sum(sums[row][output]) * row_scale[row] * scale;
  }
}

template <int kRows, int kOutputs, typename Rows, typename Code>
__global__ __launch_bounds__(kWarps* kWarp) void linear_kernel(Rows x, int n_rows, Codes<Code> w, int in, int out,
                                                               Finish finish, Upcoming upcoming) {
  const int first = (blockIdx.x * kWarps + threadIdx.x / kWarp) * kOutputs;
  let_next_start();
  int w_rows[kOutputs];
#pragma unroll
  for (int output = 0; output < kOutputs; ++output) w_rows[output] = min(first + output, out - 1);
  float sums[kRows][kOutputs];
  dot_products<kRows, kOutputs>(x, n_rows, w, w_rows, in, upcoming, sums);

  const int lane = threadIdx.x % kWarp;
#pragma unroll
  for (int row = 0; row < kRows; ++row) {
#pragma unroll
    for (int output = 0; output < kOutputs; ++output) {
      if (lane != row * kOutputs + output || row >= n_rows || first + output >= out) continue;
      finish.put(sums[row][output], static_cast<std::int64_t>(row) * out + first + output, first + output);
    }
  }
}

// Half of a warp's rows are gates, the other half the matching rows of up.
template <int kRows, typename Rows, typename Code>
__global__ __launch_bounds__(kWarps* kWarp) void gate_up_kernel(Rows x, int n_rows, Codes<Code> w, int in, int d_ff,
                                                                Bf16* y, Upcoming upcoming) {
  constexpr int kPairs = 2;
  const int first = (blockIdx.x * kWarps + threadIdx.x / kWarp) * kPairs;
  let_next_start();
  int w_rows[2 * kPairs];
#pragma unroll
  for (int pair = 0; pair < kPairs; ++pair) {
    w_rows[pair] = min(first + pair, d_ff - 1);
    w_rows[kPairs + pair] = d_ff + w_rows[pair];
  }
  float sums[kRows][2 * kPairs];
  dot_products<kRows, 2 * kPairs>(x, n_rows, w, w_rows, in, upcoming, sums);
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

Upcoming upcoming_after(Context& context, const CudaLinear& w) {
  context.use_weights(w.weight.data(), w.weight.bytes());
  return context.upcoming_weights();
}

std::size_t row_bytes(int n_rows, int in) {
  return static_cast<std::size_t>(n_rows) * static_cast<std::size_t>(in) * 2;
}

/// Calls f with the number of rows to compute as a constant.
template <typename F>
void with_rows(int n_rows, F f) {
  if (n_rows == 1) return f(std::integral_constant<int, 1>());
  f(std::integral_constant<int, kSkinnyRows>());
}

// More outputs per warp use each read of x more often; fewer give enough warps to keep memory busy.
template <int kRows, typename Code, typename Rows>
void launch_linear(Context& context, const Rows& x, int n_rows, const CudaLinear& w, const Finish& finish) {
  const int in = static_cast<int>(w.in_features()), out = static_cast<int>(w.out_features());
  const std::int64_t busy_warps = 8LL * context.n_multiprocessors();
  const auto run = [&](int outputs, auto kernel) {
    const unsigned blocks = blocks_for(ceil_div(out, outputs), kWarps);
    launch_overlapped_shared(context, "linear", blocks, kWarps * kWarp, row_bytes(n_rows, in), kernel, x, n_rows,
                             codes_of<Code>(w), in, out, finish, upcoming_after(context, w));
  };
  if (out >= 4 * busy_warps) {
    run(4, linear_kernel<kRows, 4, Rows, Code>);
  } else if (out >= 2 * busy_warps) {
    run(2, linear_kernel<kRows, 2, Rows, Code>);
  } else {
    run(1, linear_kernel<kRows, 1, Rows, Code>);
  }
}

template <typename Rows>
void launch_linear_codes(Context& context, const Rows& x, int n_rows, const CudaLinear& w, const Finish& finish) {
  with_codes(w, [&](auto code) {
    with_rows(n_rows,
              [&](auto rows) { launch_linear<decltype(rows)::value, decltype(code)>(context, x, n_rows, w, finish); });
  });
}

template <typename Rows>
void launch_gate_up(Context& context, const Rows& x, int n_rows, const CudaLinear& w, Bf16* y) {
  const int in = static_cast<int>(w.in_features()), d_ff = static_cast<int>(w.out_features() / 2);
  with_codes(w, [&](auto code) {
    with_rows(n_rows, [&](auto rows) {
      launch_overlapped_shared(context, "gate_up_silu", blocks_for(ceil_div(d_ff, 2), kWarps), kWarps * kWarp,
                               row_bytes(n_rows, in), gate_up_kernel<decltype(rows)::value, Rows, decltype(code)>, x,
                               n_rows, codes_of<decltype(code)>(w), in, d_ff, y, upcoming_after(context, w));
    });
  });
}

NormedRows normed_rows(ConstTensorView x, const RmsNorm& norm) {
  return {x.as<float>(), norm.weight.as<float>(), norm.eps};
}

}  // namespace

void skinny_linear(Context& context, ConstTensorView x, const CudaLinear& w, TensorView y,
                   const LinearOptions& options) {
  const Finish finish{w.has_bias() ? w.b() : nullptr, options.activation == Activation::kGelu, options.accumulate,
                      y.data, y.dtype == DType::kF32};
  launch_linear_codes(context, PlainRows{x.as<Bf16>()}, static_cast<int>(x.rows()), w, finish);
}

void skinny_norm_linear(Context& context, ConstTensorView x, const RmsNorm& norm, const CudaLinear& w, TensorView y) {
  const Finish finish{nullptr, false, false, y.data, y.dtype == DType::kF32};
  launch_linear_codes(context, normed_rows(x, norm), static_cast<int>(x.rows()), w, finish);
}

void skinny_gate_up_silu(Context& context, ConstTensorView x, const CudaLinear& gate_up, TensorView y) {
  launch_gate_up(context, PlainRows{x.as<Bf16>()}, static_cast<int>(x.rows()), gate_up, y.as<Bf16>());
}

void skinny_norm_gate_up_silu(Context& context, ConstTensorView x, const RmsNorm& norm, const CudaLinear& gate_up,
                              TensorView y) {
  launch_gate_up(context, normed_rows(x, norm), static_cast<int>(x.rows()), gate_up, y.as<Bf16>());
}

}  // namespace qasr::cuda
