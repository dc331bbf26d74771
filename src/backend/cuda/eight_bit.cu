// See eight_bit.h. The q8 format is the CPU's: symmetric, blocks of 32 of a row, scale = largest magnitude / 127
// rounded to f16, codes rounded to nearest.
#include "backend/cuda/eight_bit.h"
#include "backend/cuda/kernel_util.cuh"
#include "backend/cuda/launch.h"
#include "backend/cuda/weight_codes.cuh"

namespace qasr::cuda {
namespace {

// ---- device ---------------------------------------------------------------------------------------------------------

constexpr int kThreads = 256;

//   values [n] bf16, n a multiple of 32; a warp encodes a block of 32
__global__ void encode_q8_kernel(const Bf16* values, std::int64_t n, std::int8_t* codes, __half* scales) {
  const std::int64_t at = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const float value = at < n ? __bfloat162float(values[at]) : 0.0f;
  float largest = fabsf(value);
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, offset));
  }
  if (at >= n) return;
  const __half scale = __float2half(largest / 127.0f);
  const float divisor = __half2float(scale);
  const float code = divisor > 0 ? fminf(fmaxf(rintf(value / divisor), -127.0f), 127.0f) : 0.0f;
  codes[at] = static_cast<std::int8_t>(code);
  if (threadIdx.x % kWarp == 0) scales[at / kScaleBlock] = scale;
}

//   x [rows, in] bf16    codes [rows, in]    scales [rows]; one row a block, 16 elements a thread at a time
__global__ void encode_fp8_kernel(const Bf16* x, int in, Fp8* codes, float* scales) {
  __shared__ float partial[kWarp];
  let_next_start();
  wait_for_inputs();
  const Bf16* row = x + static_cast<std::int64_t>(blockIdx.x) * in;
  float largest = 0;
  for (int k = threadIdx.x * 8; k < in; k += blockDim.x * 8) {
    float v[8];
    widen8(*reinterpret_cast<const uint4*>(row + k), v);
#pragma unroll
    for (int i = 0; i < 8; ++i) largest = fmaxf(largest, fabsf(v[i]));
  }
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, offset));
  }
  if (threadIdx.x % kWarp == 0) partial[threadIdx.x / kWarp] = largest;
  __syncthreads();
  largest = 0;
  for (int warp = 0; warp < static_cast<int>(blockDim.x) / kWarp; ++warp) largest = fmaxf(largest, partial[warp]);
  const float scale = fp8_scale(largest), inverse = 1.0f / scale;
  Fp8* to = codes + static_cast<std::int64_t>(blockIdx.x) * in;
  for (int k = threadIdx.x * 16; k < in; k += blockDim.x * 16) {
    float low[8], high[8], v[16];
    widen8(*reinterpret_cast<const uint4*>(row + k), low);
    widen8(*reinterpret_cast<const uint4*>(row + k + 8), high);
#pragma unroll
    for (int i = 0; i < 8; ++i) v[i] = low[i] * inverse, v[8 + i] = high[i] * inverse;
    *reinterpret_cast<uint4*>(to + k) = narrow_fp8(v);
  }
  if (threadIdx.x == 0) scales[blockIdx.x] = scale;
}

//   values [rows, in] bf16 from row first_row on; 16 elements a thread
template <typename Code>
__global__ void widen_kernel(Codes<Code> w, std::int64_t first_row, int in, std::int64_t n, Bf16* values) {
  const std::int64_t at = (static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * 16;
  if (at >= n) return;
  const std::int64_t from = first_row * in + at;
  float v[16];
  widen_codes<Code>(*reinterpret_cast<const uint4*>(w.codes + from), v);
  const float scale = kHasBlockScales<Code> ? w.block_scale(from) : w.row_scale(from / in);
  float low[8], high[8];
#pragma unroll
  for (int i = 0; i < 8; ++i) low[i] = v[i] * scale, high[i] = v[8 + i] * scale;
  *reinterpret_cast<uint4*>(values + at) = narrow8(low);
  *reinterpret_cast<uint4*>(values + at + 8) = narrow8(high);
}

// ---- launch ---------------------------------------------------------------------------------------------------------

template <typename Code>
void launch_widen(Context& context, const CudaLinear& w, std::int64_t first_row, std::int64_t n_rows, Bf16* values) {
  const std::int64_t n = n_rows * w.in_features();
  widen_kernel<Code><<<blocks_for(n / 16, kThreads), kThreads, 0, context.stream()>>>(
      codes_of<Code>(w), first_row, static_cast<int>(w.in_features()), n, values);
  check_launch("widening 8-bit weights");
}

}  // namespace

void encode_rows(Context& context, const Bf16* values, std::int64_t first_row, std::int64_t n_rows, CudaLinear& w) {
  const std::int64_t in = w.in_features(), n = n_rows * in, begin = first_row * in;
  if (w.format == CudaFormat::kFp8) {
    return encode_activations(context, values, n_rows, in, w.weight.as<Fp8>() + begin,
                              w.scales.as<float>() + first_row);
  }
  encode_q8_kernel<<<blocks_for(n, kThreads), kThreads, 0, context.stream()>>>(
      values, n, w.weight.as<std::int8_t>() + begin, w.scales.as<__half>() + begin / kScaleBlock);
  check_launch("encoding 8-bit weights");
}

void widen_rows(Context& context, const CudaLinear& w, std::int64_t first_row, std::int64_t n_rows, Bf16* values) {
  if (w.format == CudaFormat::kFp8) return launch_widen<Fp8>(context, w, first_row, n_rows, values);
  launch_widen<std::int8_t>(context, w, first_row, n_rows, values);
}

void encode_activations(Context& context, const Bf16* x, std::int64_t rows, std::int64_t in, void* codes,
                        float* scales) {
  launch_overlapped(context, "encoding activations", static_cast<unsigned>(rows), 128, encode_fp8_kernel, x,
                    static_cast<int>(in), static_cast<Fp8*>(codes), scales);
}

}  // namespace qasr::cuda
