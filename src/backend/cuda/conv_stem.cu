// Three 3x3 convolutions of stride 2 and padding 1, each with bias and exact GELU, over chunks in passes of bounded
// size. Intermediate planes are bf16, channels last: [chunk, row, column, channel].
//
//   1  one input channel: computed directly
//   2  patches of nine taps are copied side by side, [positions, 9 * channels], and one product does the rest
//   3  like 2, bias and GELU of 2 on the way; the last step also turns the result so that one column (time) is a row of
//   y
#include <algorithm>

#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/kernel_util.cuh"
#include "backend/op_checks.h"

namespace qasr::cuda {
namespace {

struct Plane {
  int height, width;
  std::int64_t positions() const { return static_cast<std::int64_t>(height) * width; }
  Plane after_conv() const {
    return {static_cast<int>(conv_out_length(height, 1)), static_cast<int>(conv_out_length(width, 1))};
  }
};

// ---- device ---------------------------------------------------------------------------------------------------------

constexpr int kThreads = 256;
constexpr int kFirstPositions = 256;  // positions a block of the first convolution computes

//   x [chunks, in.height, in.width] f32    weight [channels, 9]    y [chunks, out.height, out.width, channels] bf16
// grid (tiles of kFirstPositions positions, chunks). The inputs of a tile's positions are laid out tap by tap in shared
// memory; a thread keeps the weights of eight channels and goes through the positions.
__global__ void first_conv_kernel(const float* x, Plane in, Plane out, const float* weight, const float* bias,
                                  int channels, Bf16* y) {
  __shared__ float inputs[kFirstPositions][12];  // nine taps, and room for 16-byte loads
  const int groups = channels / 8, channel = threadIdx.x % groups * 8, n_lanes = blockDim.x / groups;
  const float* plane = x + static_cast<std::int64_t>(blockIdx.y) * in.height * in.width;
  const int n_positions = out.height * out.width, begin = blockIdx.x * kFirstPositions;
  const int n = min(kFirstPositions, n_positions - begin);
  for (int job = threadIdx.x; job < n * 9; job += blockDim.x) {
    const int position = begin + job / 9, tap = job % 9;
    const int r = position / out.width * 2 - 1 + tap / 3, c = position % out.width * 2 - 1 + tap % 3;
    const bool inside = r >= 0 && r < in.height && c >= 0 && c < in.width;
    inputs[job / 9][tap] = inside ? plane[r * in.width + c] : 0.0f;
  }
  float taps[9][8], offsets[8];
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    offsets[i] = bias[channel + i];
#pragma unroll
    for (int tap = 0; tap < 9; ++tap) taps[tap][i] = weight[(channel + i) * 9 + tap];
  }
  __syncthreads();
  Bf16* to = y + (static_cast<std::int64_t>(blockIdx.y) * n_positions + begin) * channels + channel;
#pragma unroll 2
  for (int position = threadIdx.x / groups; position < n; position += n_lanes) {
    const float4 a = *reinterpret_cast<const float4*>(inputs[position]);
    const float4 b = *reinterpret_cast<const float4*>(inputs[position] + 4);
    const float values[9] = {a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w, inputs[position][8]};
    float sums[8];
#pragma unroll
    for (int i = 0; i < 8; ++i) sums[i] = offsets[i];
#pragma unroll
    for (int tap = 0; tap < 9; ++tap) {
#pragma unroll
      for (int i = 0; i < 8; ++i) sums[i] += values[tap] * taps[tap][i];
    }
#pragma unroll
    for (float& sum : sums) sum = gelu(sum);
    *reinterpret_cast<uint4*>(to + static_cast<std::int64_t>(position) * channels) = narrow8(sums);
  }
}

//   x [chunks, in.height, in.width, channels]    patches [chunks * out positions, 9 * channels]; one position a block
// With a bias, x is a product that still lacks bias and GELU.
template <bool kFinish>
__global__ void patches_kernel(const Bf16* x, Plane in, Plane out, int channels, const float* bias, Bf16* patches) {
  const int n_positions = out.height * out.width, groups = channels / 8;
  const std::int64_t chunk = blockIdx.x / n_positions;
  const int position = blockIdx.x % n_positions;
  const int row = position / out.width * 2 - 1, column = position % out.width * 2 - 1;
  const Bf16* plane = x + chunk * in.height * in.width * channels;
  uint4* to = reinterpret_cast<uint4*>(patches + static_cast<std::int64_t>(blockIdx.x) * 9 * channels);
  for (int job = threadIdx.x; job < 9 * groups; job += blockDim.x) {
    const int tap = job / groups, group = job % groups, r = row + tap / 3, c = column + tap % 3;
    const bool inside = r >= 0 && r < in.height && c >= 0 && c < in.width;
    const std::int64_t at = (static_cast<std::int64_t>(r) * in.width + c) * channels + group * 8;
    uint4 word = inside ? *reinterpret_cast<const uint4*>(plane + at) : make_uint4(0, 0, 0, 0);
    if (kFinish && inside) {
      float v[8];
      widen8(word, v);
#pragma unroll
      for (int i = 0; i < 8; ++i) v[i] = gelu(v[i] + bias[group * 8 + i]);
      word = narrow8(v);
    }
    to[job] = word;
  }
}

//   x [chunks, height, width, channels]    y [chunks * width, channels * height] = gelu(x + bias), turned
// One column of a chunk a block: it reads height * channels values that stay in L1.
__global__ void turn_kernel(const Bf16* x, Plane plane, const float* bias, int channels, Bf16* y) {
  const std::int64_t chunk = blockIdx.x / plane.width;
  const int column = blockIdx.x % plane.width;
  const Bf16* from = x + (chunk * plane.height * plane.width + column) * channels;
  Bf16* to = y + static_cast<std::int64_t>(blockIdx.x) * channels * plane.height;
  for (int i = threadIdx.x; i < channels * plane.height; i += blockDim.x) {
    const int channel = i / plane.height, row = i % plane.height;
    const float value = __bfloat162float(from[static_cast<std::int64_t>(row) * plane.width * channels + channel]);
    to[i] = __float2bfloat16(gelu(value + bias[channel]));
  }
}

// ---- launch ---------------------------------------------------------------------------------------------------------

// Memory for the patches of a pass: enough rows to fill the machine, and few enough that one recording needs little.
std::int64_t chunks_per_pass(std::int64_t n_chunks, std::int64_t patch_bytes) {
  const std::int64_t budget = std::clamp(n_chunks * patch_bytes / 8, std::int64_t{64} << 20, std::int64_t{256} << 20);
  return std::clamp<std::int64_t>(budget / patch_bytes, 1, n_chunks);
}

}  // namespace

void CudaBackend::conv_stem(ConstTensorView x, const ConvStemWeight& w, TensorView y) {
  check_conv_stem(x, w, y, activation_dtype());
  const auto& stem = static_cast<const CudaConvStem&>(w);
  const std::int64_t n_chunks = x.shape[0];
  if (n_chunks == 0) return;
  const Context::Use use(context_);
  const int channels = static_cast<int>(w.channels());
  const Plane in{static_cast<int>(x.shape[1]), static_cast<int>(x.shape[2])};
  const Plane first = in.after_conv(), second = first.after_conv(), third = second.after_conv();
  const std::int64_t patch_bytes = second.positions() * 9 * channels * 2;
  const std::int64_t pass = chunks_per_pass(n_chunks, patch_bytes);

  const int groups = channels / 8, first_threads = std::max(1, kThreads / groups) * groups;
  Bf16* planes = context_.scratch<Bf16>(Scratch::kConv, pass * first.positions() * channels);
  Bf16* patches = context_.scratch<Bf16>(Scratch::kPatches, pass * second.positions() * 9 * channels);
  Bf16* result = context_.scratch<Bf16>(Scratch::kConvOut, pass * second.positions() * channels);
  const auto bias = [&](int conv) { return stem.bias[conv].as<float>(); };
  for (std::int64_t begin = 0; begin < n_chunks; begin += pass) {
    const std::int64_t n = std::min(pass, n_chunks - begin);
    const dim3 grid(blocks_for(first.positions(), kFirstPositions), static_cast<unsigned>(n));
    first_conv_kernel<<<grid, first_threads, 0, context_.stream()>>>(x.as<float>() + begin * in.positions(), in, first,
                                                                     stem.first.as<float>(), bias(0), channels, planes);
    const std::int64_t second_rows = n * second.positions(), third_rows = n * third.positions();
    patches_kernel<false><<<static_cast<unsigned>(second_rows), kThreads, 0, context_.stream()>>>(
        planes, first, second, channels, nullptr, patches);
    multiply({.x = patches, .y = result, .rows = second_rows}, *stem.rest[0]);
    patches_kernel<true><<<static_cast<unsigned>(third_rows), kThreads, 0, context_.stream()>>>(
        result, second, third, channels, bias(1), patches);
    multiply({.x = patches, .y = planes, .rows = third_rows}, *stem.rest[1]);
    turn_kernel<<<static_cast<unsigned>(n * third.width), kThreads, 0, context_.stream()>>>(
        planes, third, bias(2), channels, y.as<Bf16>() + begin * third.width * y.cols());
    check_launch("conv_stem");
  }
}

}  // namespace qasr::cuda
