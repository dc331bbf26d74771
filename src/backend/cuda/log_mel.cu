// Log power spectra through a filterbank: a block computes 32 frames of one recording. The transform of a window of N
// samples (N is 400, no power of two) is a product with tables of cosines and sines, folded by symmetry to N / 2 terms;
// spectra stay in shared memory. A second kernel clamps at each recording's maximum and scales.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/kernel_util.cuh"
#include "backend/op_checks.h"

namespace qasr::cuda {
namespace {

constexpr int kFrames = 32;   // frames a block computes
constexpr int kBinsEach = 8;  // bins and frames a thread computes
constexpr int kFramesEach = 4;
constexpr int kFrameGroups = kFrames / kFramesEach;
constexpr float kEnergyFloor = 1e-10f, kDynamicRangeDecades = 8.0f;

/// Tables of one window and filterbank.
class CudaLogMelFilter final : public LogMelFilter {
 public:
  CudaLogMelFilter(int n_mels_, int hop) : LogMelFilter(n_mels_, hop) {}
  DeviceMemory window;                   // [window]
  DeviceMemory cosines;                  // [window / 2 + 1, padded bins]
  DeviceMemory sines;                    // the same
  DeviceMemory first_bin, first_weight;  // [n_mels], [n_mels + 1]: the bins of a filter that are not zero
  DeviceMemory weights;
  int window_samples = 0, padded_bins = 0;
};

struct Spectrum {
  const float *window, *cosines, *sines, *weights;
  const std::int32_t *first_bin, *first_weight;
  int window_samples, padded_bins, hop_samples, n_mels;
};

// ---- device ---------------------------------------------------------------------------------------------------------

// Sample `index` of a recording extended by reflection at both ends, as often as needed.
__device__ float reflected(const float* samples, int n_samples, int index) {
  if (n_samples == 1) return samples[0];
  while (index < 0 || index >= n_samples) index = index < 0 ? -index : 2 * (n_samples - 1) - index;
  return samples[index];
}

struct Jobs {
  const std::int32_t* sample_begin;  // [n_recordings + 1]
  const std::int32_t* frame_begin;   // [n_recordings + 1]
  const std::int32_t* blocks;        // [n_blocks, 2]: recording, first frame
};

//   samples [n_samples]    y: recording r is [n_mels, its frames] from frame_begin[r] * n_mels on
//   maxima [n_recordings] ordered bits
// Shared memory: even and odd parts [window / 2 + 1, kFrames] each; power [padded_bins, kFrames] takes their place.
__global__ void spectrum_kernel(const float* samples, Jobs jobs, Spectrum s, float* y, unsigned* maxima) {
  extern __shared__ float shared[];
  const int half = s.window_samples / 2, recording = jobs.blocks[2 * blockIdx.x],
            first = jobs.blocks[2 * blockIdx.x + 1];
  const int n_samples = jobs.sample_begin[recording + 1] - jobs.sample_begin[recording];
  const int n_frames = jobs.frame_begin[recording + 1] - jobs.frame_begin[recording];
  const float* from = samples + jobs.sample_begin[recording];
  float *even = shared, *odd = shared + (half + 1) * kFrames;

  // x[n] and x[N - n] meet the same cosine and opposite sines; n = 0 and N / 2 stand alone.
  for (int i = threadIdx.x; i < (half + 1) * kFrames; i += blockDim.x) {
    const int n = i / kFrames, frame = first + i % kFrames;
    float a = 0, b = 0;
    if (frame < n_frames) {
      const int start = frame * s.hop_samples - half;
      a = s.window[n] * reflected(from, n_samples, start + n);
      if (n > 0 && n < half)
        b = s.window[s.window_samples - n] * reflected(from, n_samples, start + s.window_samples - n);
    }
    even[i] = a + b;
    odd[i] = a - b;
  }
  __syncthreads();

  const int frame_group = threadIdx.x % kFrameGroups * kFramesEach, bin = threadIdx.x / kFrameGroups * kBinsEach;
  float real[kBinsEach][kFramesEach] = {}, imaginary[kBinsEach][kFramesEach] = {};
  if (bin < s.padded_bins) {
    for (int n = 0; n <= half; ++n) {
      const float4 e = *reinterpret_cast<const float4*>(even + n * kFrames + frame_group);
      const float4 o = *reinterpret_cast<const float4*>(odd + n * kFrames + frame_group);
      const float es[kFramesEach] = {e.x, e.y, e.z, e.w}, os[kFramesEach] = {o.x, o.y, o.z, o.w};
      float c[kBinsEach], d[kBinsEach];
#pragma unroll
      for (int i = 0; i < kBinsEach; i += 4) {
        const std::int64_t at = static_cast<std::int64_t>(n) * s.padded_bins + bin + i;
        const float4 c4 = *reinterpret_cast<const float4*>(s.cosines + at);
        const float4 d4 = *reinterpret_cast<const float4*>(s.sines + at);
        c[i] = c4.x, c[i + 1] = c4.y, c[i + 2] = c4.z, c[i + 3] = c4.w;
        d[i] = d4.x, d[i + 1] = d4.y, d[i + 2] = d4.z, d[i + 3] = d4.w;
      }
#pragma unroll
      for (int i = 0; i < kBinsEach; ++i) {
#pragma unroll
        for (int f = 0; f < kFramesEach; ++f) {
          real[i][f] += c[i] * es[f];
          imaginary[i][f] += d[i] * os[f];
        }
      }
    }
  }
  __syncthreads();
  float* power = shared;
  if (bin < s.padded_bins) {
#pragma unroll
    for (int i = 0; i < kBinsEach; ++i) {
#pragma unroll
      for (int f = 0; f < kFramesEach; ++f) {
        power[(bin + i) * kFrames + frame_group + f] = real[i][f] * real[i][f] + imaginary[i][f] * imaginary[i][f];
      }
    }
  }
  __syncthreads();

  float largest = -INFINITY;
  float* to = y + static_cast<std::int64_t>(jobs.frame_begin[recording]) * s.n_mels;
  for (int i = threadIdx.x; i < s.n_mels * kFrames; i += blockDim.x) {
    const int mel = i / kFrames, frame = first + i % kFrames;
    if (frame >= n_frames) continue;
    float energy = 0;
    const int begin = s.first_weight[mel], n_weights = s.first_weight[mel + 1] - begin;
    for (int w = 0; w < n_weights; ++w) {
      energy += s.weights[begin + w] * power[(s.first_bin[mel] + w) * kFrames + i % kFrames];
    }
    const float value = log10f(fmaxf(energy, kEnergyFloor));
    to[static_cast<std::int64_t>(mel) * n_frames + frame] = value;
    largest = fmaxf(largest, value);
  }
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, offset));
  }
  if (threadIdx.x % kWarp == 0) atomicMax(maxima + recording, ordered_bits(largest));
}

//   grid (blocks, n_recordings)
__global__ void clamp_kernel(const std::int32_t* frame_begin, int n_mels, const unsigned* maxima, float* y) {
  const std::int64_t begin = static_cast<std::int64_t>(frame_begin[blockIdx.y]) * n_mels;
  const std::int64_t end = static_cast<std::int64_t>(frame_begin[blockIdx.y + 1]) * n_mels;
  const float floor = from_ordered_bits(maxima[blockIdx.y]) - kDynamicRangeDecades;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = begin + static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < end; i += step) {
    y[i] = (fmaxf(y[i], floor) + 4.0f) * 0.25f;
  }
}

//   pieces [n, 3]: begin in x, elements between rows, valid columns    y [n, height, width]; grid (height, n)
__global__ void cut_kernel(const float* x, const std::int32_t* pieces, int width, float* y) {
  const std::int32_t* piece = pieces + 3 * blockIdx.y;
  const float* from = x + piece[0] + static_cast<std::int64_t>(blockIdx.x) * piece[1];
  float* to = y + (static_cast<std::int64_t>(blockIdx.y) * gridDim.x + blockIdx.x) * width;
  for (int i = threadIdx.x; i < width; i += blockDim.x) to[i] = i < piece[2] ? from[i] : 0.0f;
}

// ---- launch ---------------------------------------------------------------------------------------------------------

template <typename T>
DeviceMemory upload_vector(Context& context, const std::vector<T>& values) {
  DeviceMemory memory(values.size() * sizeof(T));
  context.upload(values.data(), memory.data(), memory.bytes());
  return memory;
}

void make_tables(Context& context, CudaLogMelFilter& filter) {
  const int half = filter.window_samples / 2;
  std::vector<float> cosines, sines;
  for (int n = 0; n <= half; ++n) {
    for (int bin = 0; bin < filter.padded_bins; ++bin) {
      const int turn = n * bin % filter.window_samples;
      const double angle = 2 * std::numbers::pi * turn / filter.window_samples;
      cosines.push_back(static_cast<float>(std::cos(angle)));
      sines.push_back(static_cast<float>(std::sin(angle)));
    }
  }
  filter.cosines = upload_vector(context, cosines);
  filter.sines = upload_vector(context, sines);
}

void make_bands(Context& context, std::span<const float> bank, int n_bins, CudaLogMelFilter& filter) {
  std::vector<std::int32_t> first_bin, first_weight = {0};
  std::vector<float> weights;
  for (int mel = 0; mel < filter.n_mels(); ++mel) {
    const auto row = bank.subspan(static_cast<std::size_t>(mel) * static_cast<std::size_t>(n_bins),
                                  static_cast<std::size_t>(n_bins));
    const auto is_set = [](float weight) { return weight != 0; };
    const auto begin = std::find_if(row.begin(), row.end(), is_set);
    const auto end = std::find_if(row.rbegin(), std::make_reverse_iterator(begin), is_set).base();
    first_bin.push_back(static_cast<std::int32_t>(begin == row.end() ? 0 : begin - row.begin()));
    weights.insert(weights.end(), begin, end);
    first_weight.push_back(static_cast<std::int32_t>(weights.size()));
  }
  if (weights.empty()) weights.push_back(0);
  filter.first_bin = upload_vector(context, first_bin);
  filter.first_weight = upload_vector(context, first_weight);
  filter.weights = upload_vector(context, weights);
}

constexpr int kThreads = 256;

}  // namespace

std::unique_ptr<LogMelFilter> CudaBackend::make_log_mel(std::span<const float> window, std::span<const float> bank,
                                                        int n_mels, int hop_samples) {
  const int n_bins = static_cast<int>(window.size() / 2) + 1;
  QASR_CHECK(window.size() % 2 == 0 &&
             bank.size() == static_cast<std::size_t>(n_mels) * static_cast<std::size_t>(n_bins));
  const int padded_bins = static_cast<int>(ceil_div(n_bins, kBinsEach)) * kBinsEach;
  // Larger windows than a block has threads or shared memory for stay on the host.
  if (padded_bins / kBinsEach * kFrameGroups > kThreads) return nullptr;
  const Context::Use use(context_);
  auto filter = std::make_unique<CudaLogMelFilter>(n_mels, hop_samples);
  filter->window_samples = static_cast<int>(window.size());
  filter->padded_bins = padded_bins;
  filter->window = upload_vector(context_, std::vector<float>(window.begin(), window.end()));
  make_tables(context_, *filter);
  make_bands(context_, bank, n_bins, *filter);
  return filter;
}

void CudaBackend::log_mel(ConstTensorView samples, std::span<const std::int32_t> sample_begin,
                          const LogMelFilter& log_mel_filter, TensorView y) {
  const auto& filter = static_cast<const CudaLogMelFilter&>(log_mel_filter);
  const std::vector<std::int32_t> frame_begin = check_log_mel(samples, sample_begin, filter, y);
  if (frame_begin.back() == 0) return;
  const std::size_t n_recordings = sample_begin.size() - 1;
  std::vector<std::int32_t> jobs(sample_begin.begin(), sample_begin.end());
  jobs.insert(jobs.end(), frame_begin.begin(), frame_begin.end());
  const std::size_t first_job = jobs.size();
  for (std::size_t recording = 0; recording < n_recordings; ++recording) {
    for (std::int32_t frame = 0; frame < frame_begin[recording + 1] - frame_begin[recording]; frame += kFrames) {
      jobs.insert(jobs.end(), {static_cast<std::int32_t>(recording), frame});
    }
  }
  const Context::Use use(context_);
  const std::int32_t* on_gpu = context_.upload_indices(jobs);
  unsigned* maxima = context_.scratch<unsigned>(Scratch::kProduct, static_cast<std::int64_t>(n_recordings));
  check(cudaMemsetAsync(maxima, 0, n_recordings * sizeof(unsigned), context_.stream()), "log_mel");
  const Spectrum spectrum{filter.window.as<float>(),
                          filter.cosines.as<float>(),
                          filter.sines.as<float>(),
                          filter.weights.as<float>(),
                          filter.first_bin.as<std::int32_t>(),
                          filter.first_weight.as<std::int32_t>(),
                          filter.window_samples,
                          filter.padded_bins,
                          filter.hop_samples(),
                          filter.n_mels()};
  const Jobs places{on_gpu, on_gpu + sample_begin.size(), on_gpu + first_job};
  const int rows = std::max(filter.window_samples + 2, filter.padded_bins);  // even and odd parts, or power
  const int shared_bytes = rows * kFrames * static_cast<int>(sizeof(float));
  check(cudaFuncSetAttribute(spectrum_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes), "log_mel");
  spectrum_kernel<<<static_cast<unsigned>((jobs.size() - first_job) / 2), kThreads, shared_bytes, context_.stream()>>>(
      samples.as<float>(), places, spectrum, y.as<float>(), maxima);
  clamp_kernel<<<dim3(64, static_cast<unsigned>(n_recordings)), kThreads, 0, context_.stream()>>>(
      places.frame_begin, filter.n_mels(), maxima, y.as<float>());
  check_launch("log_mel");
}

void CudaBackend::cut_columns(ConstTensorView x, std::span<const ColumnRange> pieces, TensorView y) {
  check_cut_columns(x, pieces, y);
  if (pieces.empty()) return;
  std::vector<std::int32_t> table;
  for (const ColumnRange& piece : pieces) table.insert(table.end(), {piece.begin, piece.row_stride, piece.n_columns});
  const Context::Use use(context_);
  const dim3 grid(static_cast<unsigned>(y.shape[1]), static_cast<unsigned>(pieces.size()));
  cut_kernel<<<grid, 128, 0, context_.stream()>>>(x.as<float>(), context_.upload_indices(table),
                                                  static_cast<int>(y.shape[2]), y.as<float>());
  check_launch("cut_columns");
}

}  // namespace qasr::cuda
