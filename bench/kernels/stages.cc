// The convolution stem and both kinds of attention at the shapes of the 0.6B model.
#include <numeric>

#include "setup.h"

namespace qasr::bench {
namespace {

void run_conv_stem(benchmark::State& state, std::int64_t chunks, WeightFormat format) {
  constexpr std::int64_t kChannels = 480, kMels = 128, kFrames = 100;
  const auto stem = with_bf16({kChannels, kChannels, 3, 3}, [&](const HostTensor& w) {
    HostTensor first = w, bias = w;
    first.shape = {kChannels, 1, 3, 3};
    first.bytes = w.bytes.first(static_cast<std::size_t>(first.shape.elements()) * 2);
    bias.shape = {kChannels};
    bias.bytes = w.bytes.first(kChannels * 2);
    const HostTensor weights[] = {first, w, w}, biases[] = {bias, bias, bias};
    return backend().make_conv_stem(weights, biases, format);
  });
  const Tensor x({chunks, kMels, kFrames});
  const Tensor y({chunks * conv_out_length(kFrames, 3), kChannels * conv_out_length(kMels, 3)});
  for (auto _ : state) backend().conv_stem(x.view, *stem, y.view);
  const double per_position = 9.0 * kChannels * kChannels;
  report_flops(state, static_cast<double>(chunks) * (64 * 50 * 9.0 * kChannels + (32 * 25 + 16 * 13) * per_position));
}
const bool kStemsRegistered = [] {
  for (const Format& format : kFormats) {
    if (format.format == WeightFormat::kQ4) continue;  // the stem is never below 8 bits
    for (std::int64_t chunks : {1, 10}) {
      const std::string name = std::string("ConvStem/") + format.name + "/chunks:" + std::to_string(chunks);
      benchmark::RegisterBenchmark(name.c_str(), run_conv_stem, chunks, format.format)->UseRealTime();
    }
  }
  return true;
}();

void AttentionBlocks(benchmark::State& state) {
  constexpr int kHeads = 14, kDim = 64, kBlock = 104;
  const std::int64_t blocks = state.range(0);
  std::vector<std::int32_t> begin;
  for (std::int32_t block = 0; block <= blocks; ++block) begin.push_back(block * kBlock);
  const Tensor qkv({blocks * kBlock, 3 * kHeads * kDim}), y({blocks * kBlock, kHeads * kDim});
  for (auto _ : state) backend().attention_blocks(qkv.view, kHeads, {begin}, y.view);
  report_flops(state, static_cast<double>(blocks * kHeads * 2 * kDim) * kBlock * kBlock);
}
BENCHMARK(AttentionBlocks)->ArgName("blocks")->Arg(4)->UseRealTime();

void AttentionCausal(benchmark::State& state) {
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
BENCHMARK(AttentionCausal)
    ->ArgNames({"rows", "past", "bf16"})
    ->Args({400, 0, 0})
    ->Args({400, 0, 1})
    ->Args({1, 400, 0})
    ->Args({1, 400, 1})
    ->UseRealTime();

}  // namespace
}  // namespace qasr::bench
