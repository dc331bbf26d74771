#include "setup.h"

#include <cstdlib>

namespace qasr::bench {
namespace {

int n_threads() {
  const char* value = std::getenv("QASR_BENCH_THREADS");
  return value == nullptr ? 0 : std::atoi(value);
}

std::string requested_isa() {
  const char* value = std::getenv("QASR_BENCH_ISA");
  return value == nullptr ? "" : value;
}

void report_rate(benchmark::State& state, const char* name, double amount) {
  state.counters[name] =
      benchmark::Counter(amount, benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
}

}  // namespace

Backend& backend() {
  static const std::unique_ptr<Backend> instance = make_cpu_backend(n_threads(), requested_isa());
  return *instance;
}

ThreadPool& pool() {
  static ThreadPool instance(n_threads());
  return instance;
}

std::string isa_name() { return cpu_isa_name(requested_isa()); }

std::vector<float> values(std::int64_t n) {
  std::vector<float> v(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(i * 2654435761u >> 16 & 255) / 256.0f - 0.5f;
  return v;
}

Tensor::Tensor(Shape shape) : buffer(backend().allocate(static_cast<std::size_t>(shape.elements()) * 4)) {
  view = {buffer->data(), DType::kF32, shape};
  backend().upload(values(shape.elements()).data(), view);
}

std::unique_ptr<LinearWeight> matrix(std::int64_t out, std::int64_t in, WeightFormat format) {
  return with_bf16({out, in}, [&](const HostTensor& w) { return backend().make_linear({&w, 1}, {}, format); });
}

void report_flops(benchmark::State& state, double multiply_adds) { report_rate(state, "FLOP/s", 2 * multiply_adds); }
void report_bytes(benchmark::State& state, double bytes) { report_rate(state, "B/s", bytes); }

std::string ProductShape::name() const {
  return "rows:" + std::to_string(rows) + "/out:" + std::to_string(out) + "/in:" + std::to_string(in);
}

std::vector<ProductShape> encoder_products() {
  return {{390, 896, 896},   {390, 3584, 896}, {390, 896, 3584},  // out_proj, fc1, fc2
          {390, 2688, 896},                                       // q, k and v
          {8000, 480, 4320}, {2080, 480, 4320}};                  // conv2d2, conv2d3
}

std::vector<ProductShape> prefill_products() {
  return {{405, 4096, 1024},
          {405, 1024, 2048},  // q, k and v; o_proj
          {405, 6144, 1024},
          {405, 1024, 3072}};  // gate and up; down_proj
}

}  // namespace qasr::bench
