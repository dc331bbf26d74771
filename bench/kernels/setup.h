// What the kernel benchmarks share: the backend and the threads under test, tensors filled by rule, counters, and the
// shapes of the 0.6B model's products.
//
// Environment: QASR_BENCH_THREADS (default: all), QASR_BENCH_ISA (default: the best).
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backend/registry.h"
#include "base/thread_pool.h"

namespace qasr::bench {

Backend& backend();
/// As many threads as the backend has, for measurements without it.
ThreadPool& pool();
/// "avx2": the instruction set of backend().
std::string isa_name();

/// The same values everywhere, in [-0.5, 0.5).
std::vector<float> values(std::int64_t n);

/// f32 on the backend, filled with values().
struct Tensor {
  explicit Tensor(Shape shape);
  std::unique_ptr<Buffer> buffer;
  TensorView view;
};

/// Calls make with a checkpoint's bf16 tensor that lives as long as the call.
template <typename Make>
auto with_bf16(Shape shape, Make make) {
  std::vector<bf16> bits;
  for (float v : values(shape.elements())) bits.push_back(to_bf16(v));
  return make(HostTensor{"bench", DType::kBf16, shape, std::as_bytes(std::span<const bf16>(bits))});
}

std::unique_ptr<LinearWeight> matrix(std::int64_t out, std::int64_t in, WeightFormat format);

/// Counters FLOP/s (two per multiply-add) and B/s.
void report_flops(benchmark::State& state, double multiply_adds);
void report_bytes(benchmark::State& state, double bytes);

/// y [rows, out] = x [rows, in] W^T.
struct ProductShape {
  std::int64_t rows, out, in;
  /// "rows:390/out:896/in:896"
  std::string name() const;
  double multiply_adds() const { return static_cast<double>(rows * out * in); }
};

/// 30 s of audio: 390 tokens through the encoder's layers, ten chunks through its convolutions (as products over the
/// nine taps), 405 rows through the decoder's layers.
std::vector<ProductShape> encoder_products();
std::vector<ProductShape> prefill_products();

struct Format {
  const char* name;
  WeightFormat format;
};
inline constexpr Format kFormats[] = {
    {"f32", WeightFormat::kF32}, {"bf16", WeightFormat::kBf16}, {"q8", WeightFormat::kQ8}, {"q4", WeightFormat::kQ4}};

}  // namespace qasr::bench
