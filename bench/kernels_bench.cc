// Speed of the CPU backend's operations at the shapes of the 0.6B model, next to what this machine can do at all:
// f32 multiply-adds per second from registers (BM_PeakFma) and memory read by all threads (BM_StreamRead).
//
//   kernels_bench --benchmark_filter='Linear|Peak|Stream'
//   QASR_BENCH_THREADS=1 QASR_BENCH_ISA=avx2 kernels_bench
//
// Many-row products report FLOP/s (two per multiply-add), few-row products bytes of weights per second.
#include <benchmark/benchmark.h>
#if defined(__x86_64__)
#include <immintrin.h>
#else
#include <arm_neon.h>
#endif

#include <cstdlib>
#include <memory>
#include <numeric>
#include <vector>

#include "backend/registry.h"
#include "base/aligned_buffer.h"
#include "base/cpu_features.h"
#include "base/thread_pool.h"

namespace {

using namespace qasr;

int n_threads() {
  const char* value = std::getenv("QASR_BENCH_THREADS");
  return value == nullptr ? 0 : std::atoi(value);
}

Backend& backend() {
  static const char* isa = std::getenv("QASR_BENCH_ISA");
  static const std::unique_ptr<Backend> instance = make_cpu_backend(n_threads(), isa == nullptr ? "" : isa);
  return *instance;
}

std::vector<float> values(std::int64_t n) {
  std::vector<float> v(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(i * 2654435761u >> 16 & 255) / 256.0f - 0.5f;
  return v;
}

struct Tensor {
  explicit Tensor(Shape shape) : buffer(backend().allocate(static_cast<std::size_t>(shape.elements()) * 4)) {
    view = {buffer->data(), DType::kF32, shape};
    backend().upload(values(shape.elements()).data(), view);
  }
  std::unique_ptr<Buffer> buffer;
  TensorView view;
};

// A checkpoint's bf16 matrix; only its bytes outlive this call in packed form.
template <typename Make>
auto with_bf16(Shape shape, Make make) {
  std::vector<bf16> bits;
  for (float v : values(shape.elements())) bits.push_back(to_bf16(v));
  return make(HostTensor{"bench", DType::kBf16, shape, std::as_bytes(std::span<const bf16>(bits))});
}

std::unique_ptr<LinearWeight> matrix(std::int64_t out, std::int64_t in, WeightFormat format) {
  return with_bf16({out, in}, [&](const HostTensor& w) { return backend().make_linear({&w, 1}, {}, format); });
}

void report_flops(benchmark::State& state, double multiply_adds) {
  state.counters["FLOP/s"] =
      benchmark::Counter(2 * multiply_adds, benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
}

void report_bytes(benchmark::State& state, double bytes) {
  state.counters["B/s"] =
      benchmark::Counter(bytes, benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
}

// ---- what the machine can do
// -----------------------------------------------------------------------------------------

// Twelve sums per thread, nothing from memory: enough to cover the latency of a multiply-add twice per cycle. Written
// apart from the kernels, which it is the yardstick of; hence the only #if on architecture outside them.
// They start apart, or the compiler would see that all are one.
constexpr std::size_t kChains = 12;
#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) float fma_avx2(std::size_t n) {
  __m256 sums[kChains];
  for (std::size_t i = 0; i < kChains; ++i) sums[i] = _mm256_set1_ps(static_cast<float>(i + n));
  const __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(1e-3f);
  for (std::size_t i = 0; i < n; ++i) {
#pragma GCC unroll 12
    for (__m256& sum : sums) sum = _mm256_fmadd_ps(sum, a, b);
  }
  float total = 0;
  for (const __m256& sum : sums) total += _mm256_cvtss_f32(sum);
  return total;
}

__attribute__((target("avx512f"))) float fma_avx512(std::size_t n) {
  __m512 sums[kChains];
  for (std::size_t i = 0; i < kChains; ++i) sums[i] = _mm512_set1_ps(static_cast<float>(i + n));
  const __m512 a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(1e-3f);
  for (std::size_t i = 0; i < n; ++i) {
#pragma GCC unroll 12
    for (__m512& sum : sums) sum = _mm512_fmadd_ps(sum, a, b);
  }
  float total = 0;
  for (const __m512& sum : sums) total += _mm512_cvtss_f32(sum);
  return total;
}

struct Peak {
  float (*run)(std::size_t n);
  double lanes;
};
Peak peak() { return cpu_features().avx512 ? Peak{fma_avx512, 16} : Peak{fma_avx2, 8}; }
#else
struct Peak {
  float (*run)(std::size_t n);
  double lanes;
};
float fma_neon(std::size_t n) {
  float32x4_t sums[kChains];
  for (std::size_t i = 0; i < kChains; ++i) sums[i] = vdupq_n_f32(static_cast<float>(i + n));
  const float32x4_t a = vdupq_n_f32(0.999f), b = vdupq_n_f32(1e-3f);
  for (std::size_t i = 0; i < n; ++i) {
#pragma GCC unroll 12
    for (float32x4_t& sum : sums) sum = vfmaq_f32(b, sum, a);
  }
  float total = 0;
  for (const float32x4_t& sum : sums) total += vgetq_lane_f32(sum, 0);
  return total;
}
Peak peak() { return {fma_neon, 4}; }
#endif

ThreadPool& pool() {
  static ThreadPool instance(n_threads());
  return instance;
}

void BM_PeakFma(benchmark::State& state) {
  constexpr std::size_t kSteps = 20000;
  const auto n = static_cast<std::size_t>(16 * pool().n_threads());  // small tasks: all threads busy to the end
  const Peak machine = peak();
  for (auto _ : state) {
    pool().parallel_for(n, [&](std::size_t, int) { benchmark::DoNotOptimize(machine.run(kSteps)); });
  }
  report_flops(state, static_cast<double>(n * kSteps * kChains) * machine.lanes);
}
BENCHMARK(BM_PeakFma)->UseRealTime();

void BM_StreamRead(benchmark::State& state) {
  constexpr std::size_t kBytes = std::size_t{256} << 20, kPiece = std::size_t{1} << 20;
  static const AlignedBuffer memory = [] {
    AlignedBuffer buffer(kBytes);
    std::fill_n(buffer.data(), kBytes, std::byte{1});
    return buffer;
  }();
  for (auto _ : state) {
    pool().parallel_for(kBytes / kPiece, [&](std::size_t piece, int) {
      typedef std::uint64_t Words __attribute__((vector_size(16)));
      const auto* words = reinterpret_cast<const Words*>(memory.data() + piece * kPiece);
      Words sums[8] = {};
      for (std::size_t i = 0; i < kPiece / sizeof(Words); i += 8) {
#pragma GCC unroll 8
        for (std::size_t lane = 0; lane < 8; ++lane) sums[lane] += words[i + lane];
      }
      benchmark::DoNotOptimize(sums);
    });
  }
  report_bytes(state, static_cast<double>(kBytes));
}
BENCHMARK(BM_StreamRead)->UseRealTime();

// ---- products
// --------------------------------------------------------------------------------------------------------

void linear(benchmark::State& state, WeightFormat format, LinearOptions options) {
  const std::int64_t rows = state.range(0), out = state.range(1), in = state.range(2);
  const auto w = matrix(out, in, format);
  const Tensor x({rows, in}), y({rows, out});
  for (auto _ : state) backend().linear(x.view, *w, y.view, options);
  report_flops(state, static_cast<double>(rows) * static_cast<double>(out * in));
  if (rows <= 16) report_bytes(state, static_cast<double>(w->bytes()));
}
void BM_LinearF32(benchmark::State& state) { linear(state, WeightFormat::kF32, {}); }
void BM_LinearBf16(benchmark::State& state) { linear(state, WeightFormat::kBf16, {}); }
void BM_LinearGelu(benchmark::State& state) { linear(state, WeightFormat::kBf16, {Activation::kGelu}); }

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"rows", "out", "in"})->UseRealTime();
  b->Args({400, 3072, 1024})->Args({400, 896, 3584})->Args({100, 3072, 1024})->Args({40, 3072, 1024})->Args({400,3072,256});
  for (std::int64_t rows : {1, 4, 8, 16}) b->Args({rows, 3072, 1024});
}
void BM_LinearQ8(benchmark::State& state) { linear(state, WeightFormat::kQ8, {}); }
void BM_LinearQ4(benchmark::State& state) { linear(state, WeightFormat::kQ4, {}); }
BENCHMARK(BM_LinearQ8)->Apply(shapes);
BENCHMARK(BM_LinearQ4)->Apply(shapes);
BENCHMARK(BM_LinearF32)->Apply(shapes);
BENCHMARK(BM_LinearBf16)->Apply(shapes);
BENCHMARK(BM_LinearGelu)->ArgNames({"rows", "out", "in"})->Args({400, 3584, 896})->UseRealTime();

void BM_GateUp(benchmark::State& state) {
  const std::int64_t rows = state.range(0), d_ff = 3072, hidden = 1024;
  const auto w =
      with_bf16({d_ff, hidden}, [](const HostTensor& t) { return backend().make_gate_up(t, t, WeightFormat::kBf16); });
  const Tensor x({rows, hidden}), y({rows, d_ff});
  for (auto _ : state) backend().gate_up_silu(x.view, *w, y.view);
  report_flops(state, static_cast<double>(rows * 2 * d_ff * hidden));
  if (rows <= 16) report_bytes(state, static_cast<double>(w->bytes()));
}
BENCHMARK(BM_GateUp)->ArgName("rows")->Arg(1)->Arg(8)->Arg(400)->UseRealTime();

// The tied head of the official models: far larger than any cache.
void BM_ArgmaxHead(benchmark::State& state) {
  constexpr std::int64_t kVocab = 151936, kHidden = 1024;
  static const auto head = matrix(kVocab, kHidden, WeightFormat::kBf16);
  const std::int64_t rows = state.range(0);
  const Tensor x({rows, kHidden}), logits({rows, kVocab});
  std::vector<std::int32_t> ids(static_cast<std::size_t>(rows));
  for (auto _ : state) backend().argmax_logits(x.view, *head, logits.view, ids);
  report_bytes(state, static_cast<double>(head->bytes()));
}
BENCHMARK(BM_ArgmaxHead)->ArgName("rows")->Arg(1)->Arg(4)->Arg(8)->UseRealTime();

// ---- encoder and attention
// -------------------------------------------------------------------------------------------

void BM_ConvStem(benchmark::State& state) {
  constexpr std::int64_t kChannels = 480, kMels = 128, kFrames = 100;
  const std::int64_t chunks = state.range(0);
  const auto stem = with_bf16({kChannels, kChannels, 3, 3}, [&](const HostTensor& w) {
    HostTensor first = w, bias = w;
    first.shape = {kChannels, 1, 3, 3};
    first.bytes = w.bytes.first(static_cast<std::size_t>(first.shape.elements()) * 2);
    bias.shape = {kChannels};
    bias.bytes = w.bytes.first(kChannels * 2);
    const HostTensor weights[] = {first, w, w}, biases[] = {bias, bias, bias};
    return backend().make_conv_stem(weights, biases, WeightFormat::kBf16);
  });
  const Tensor x({chunks, kMels, kFrames});
  const Tensor y({chunks * conv_out_length(kFrames, 3), kChannels * conv_out_length(kMels, 3)});
  for (auto _ : state) backend().conv_stem(x.view, *stem, y.view);
  const double per_position = 9.0 * kChannels * kChannels;
  report_flops(state, static_cast<double>(chunks) * (64 * 50 * 9.0 * kChannels + (32 * 25 + 16 * 13) * per_position));
}
BENCHMARK(BM_ConvStem)->ArgName("chunks")->Arg(1)->Arg(8)->UseRealTime();

void BM_AttentionBlocks(benchmark::State& state) {
  constexpr int kHeads = 14, kDim = 64, kBlock = 104;
  const std::int64_t blocks = state.range(0);
  std::vector<std::int32_t> begin;
  for (std::int32_t block = 0; block <= blocks; ++block) begin.push_back(block * kBlock);
  const Tensor qkv({blocks * kBlock, 3 * kHeads * kDim}), y({blocks * kBlock, kHeads * kDim});
  for (auto _ : state) backend().attention_blocks(qkv.view, kHeads, begin, y.view);
  report_flops(state, static_cast<double>(blocks * kHeads * 2 * kDim) * kBlock * kBlock);
}
BENCHMARK(BM_AttentionBlocks)->ArgName("blocks")->Arg(4)->UseRealTime();

void BM_AttentionCausal(benchmark::State& state) {
  constexpr int kHeads = 16, kKvHeads = 8, kDim = 128, kPage = 64;
  const auto rows = static_cast<std::int32_t>(state.range(0)), past = static_cast<std::int32_t>(state.range(1));
  const DType dtype = state.range(2) != 0 ? DType::kBf16 : DType::kF32;
  std::vector<std::int32_t> pages(static_cast<std::size_t>((rows + past + kPage - 1) / kPage));
  std::iota(pages.begin(), pages.end(), 0);
  const auto cache = backend().make_kv_cache({1, kKvHeads, kDim, kPage, static_cast<int>(pages.size()), dtype});
  const std::vector<std::int32_t> row_begin = {0, rows}, n_past = {past};
  const std::span<const std::int32_t> page_span(pages);
  const Tensor q({rows, kHeads * kDim}), y({rows, kHeads * kDim});
  for (auto _ : state) {
    backend().attention_causal(q.view, kHeads, 0, {row_begin, n_past, {&page_span, 1}}, *cache, y.view);
  }
  const double keys = static_cast<double>(rows) * (past + 0.5 * (rows + 1));
  report_flops(state, keys * kHeads * kDim * 2);
  if (rows == 1)
    report_bytes(state, static_cast<double>((past + 1) * kKvHeads * kDim * 2) * double(dtype_bytes(dtype)));
}
BENCHMARK(BM_AttentionCausal)
    ->ArgNames({"rows", "past", "bf16"})
    ->Args({400, 0, 0})
    ->Args({400, 0, 1})
    ->Args({1, 400, 0})
    ->Args({1, 400, 1})
    ->UseRealTime();

void BM_ParallelForEmpty(benchmark::State& state) {
  for (auto _ : state) pool().parallel_for(8, [](std::size_t task, int) { benchmark::DoNotOptimize(task); });
}
BENCHMARK(BM_ParallelForEmpty)->UseRealTime();

}  // namespace
