// Matrix products in every weight format: many rows (FLOP/s) at the shapes of encoder and prefill, few rows (bytes of
// weights per second) as in decode steps. "Linear/q8/rows:390/out:896/in:896".
#include "setup.h"

namespace qasr::bench {
namespace {

void run_linear(benchmark::State& state, ProductShape shape, WeightFormat format, LinearOptions options) {
  const auto w = matrix(shape.out, shape.in, format);
  const Tensor x({shape.rows, shape.in}), y({shape.rows, shape.out});
  for (auto _ : state) backend().linear(x.view, *w, y.view, options);
  report_flops(state, shape.multiply_adds());
  if (shape.rows <= 16) report_bytes(state, static_cast<double>(w->bytes()));
}

void run_gate_up(benchmark::State& state, std::int64_t rows, WeightFormat format) {
  constexpr std::int64_t kFeedForward = 3072, kHidden = 1024;
  const auto w =
      with_bf16({kFeedForward, kHidden}, [&](const HostTensor& t) { return backend().make_gate_up(t, t, format); });
  const Tensor x({rows, kHidden}), y({rows, kFeedForward});
  for (auto _ : state) backend().gate_up_silu(x.view, *w, y.view);
  report_flops(state, static_cast<double>(rows * 2 * kFeedForward * kHidden));
  if (rows <= 16) report_bytes(state, static_cast<double>(w->bytes()));
}

// The tied head of the official models: far larger than any cache.
void run_head(benchmark::State& state, std::int64_t rows, WeightFormat format) {
  constexpr std::int64_t kVocab = 151936, kHidden = 1024;
  const auto head = matrix(kVocab, kHidden, format);
  const Tensor x({rows, kHidden}), logits({rows, kVocab});
  std::vector<std::int32_t> ids(static_cast<std::size_t>(rows));
  for (auto _ : state) backend().argmax_logits(x.view, *head, logits.view, ids);
  report_bytes(state, static_cast<double>(head->bytes()));
}

void register_format(const std::string& name, WeightFormat format) {
  std::vector<ProductShape> shapes = prefill_products();
  if (format != WeightFormat::kQ4) {  // the encoder is never below 8 bits
    const std::vector<ProductShape> encoder = encoder_products();
    shapes.insert(shapes.begin(), encoder.begin(), encoder.end());
  }
  for (std::int64_t rows : {1, 4, 8, 16}) shapes.push_back({rows, 3072, 1024});
  for (const ProductShape& shape : shapes) {
    benchmark::RegisterBenchmark(("Linear/" + name + "/" + shape.name()).c_str(), run_linear, shape, format,
                                 LinearOptions{})
        ->UseRealTime();
  }
  for (std::int64_t rows : {1, 8, 405}) {
    benchmark::RegisterBenchmark(("GateUp/" + name + "/rows:" + std::to_string(rows)).c_str(), run_gate_up, rows,
                                 format)
        ->UseRealTime();
  }
  for (std::int64_t rows : {1, 4, 8}) {
    benchmark::RegisterBenchmark(("Head/" + name + "/rows:" + std::to_string(rows)).c_str(), run_head, rows, format)
        ->UseRealTime();
  }
}

const bool kRegistered = [] {
  for (const Format& format : kFormats) register_format(format.name, format.format);
  const ProductShape fc1{390, 3584, 896};
  benchmark::RegisterBenchmark(("LinearGelu/q8/" + fc1.name()).c_str(), run_linear, fc1, WeightFormat::kQ8,
                               LinearOptions{.activation = Activation::kGelu})
      ->UseRealTime();
  return true;
}();

}  // namespace
}  // namespace qasr::bench
