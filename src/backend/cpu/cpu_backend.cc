// Memory and weights of the CPU backend; operations are in files of their own.
#include "backend/cpu/cpu_backend.h"

#include <cstring>

#include "backend/cpu/paged_kv_cache.h"
#include "backend/op_checks.h"

namespace qasr::cpu {
namespace {

class HostBuffer final : public Buffer {
 public:
  explicit HostBuffer(std::size_t bytes) : Buffer(nullptr, bytes), memory_(bytes) { data_ = memory_.data(); }

 private:
  AlignedBuffer memory_;
};

// Column -> row of a stack of matrices.
SourceRow stacked_row(std::span<const HostTensor> matrices, std::size_t column) {
  auto row = static_cast<std::int64_t>(column);
  for (const HostTensor& matrix : matrices) {
    if (row < matrix.shape[0]) return {&matrix, row};
    row -= matrix.shape[0];
  }
  return {};
}

}  // namespace

std::string CpuBackend::description() const {
  const int n = pool_.n_threads();
  return std::string("cpu (") + context_.isa.name + ", " + std::to_string(n) + (n == 1 ? " thread)" : " threads)");
}

std::unique_ptr<Buffer> CpuBackend::allocate(std::size_t bytes) { return std::make_unique<HostBuffer>(bytes); }

void CpuBackend::upload(const void* host, TensorView destination) {
  if (destination.bytes() > 0) std::memcpy(destination.data, host, destination.bytes());
}

void CpuBackend::download(ConstTensorView source, void* host) {
  if (source.bytes() > 0) std::memcpy(host, source.data, source.bytes());
}

std::unique_ptr<KvCache> CpuBackend::make_kv_cache(const KvCacheShape& shape) {
  return std::make_unique<PagedKvCache>(shape, context_.isa);
}

void CpuBackend::copy_kv_page(KvCache& cache, std::int32_t from, std::int32_t to) {
  const std::int32_t pages[] = {from, to};
  check_indices(pages, cache.shape().n_pages);
  static_cast<PagedKvCache&>(cache).copy_page(from, to);
}

std::string CpuBackend::packed_layout() const {
  constexpr int kVersion =
      1;  // grows with every change of what packed_matrix.cc, pack_quantized.cc or quant_blocks.cc make
  const isa::KernelTable& isa = context_.isa;
  std::string text = "cpu version " + std::to_string(kVersion);
  for (const std::size_t part : {isa.lanes, isa.panel_width, isa.quant_shape.depth_group}) {
    text += ' ';
    text += std::to_string(part);
  }
  if (isa.quant_shape.offset_weights) text += " offset";
  return text;
}

std::unique_ptr<LinearWeight> CpuBackend::make_linear(std::span<const HostTensor> matrices,
                                                      std::span<const HostTensor> biases, WeightFormat format) {
  const std::int64_t features = check_make_linear(matrices, biases), depth = matrices[0].shape[1];
  const PackSource source{.tensors = matrices,
                          .depth = static_cast<std::size_t>(depth),
                          .n_panels = ceil_div(static_cast<std::size_t>(features), context_.isa.panel_width),
                          .source_row = [&](std::size_t column) { return stacked_row(matrices, column); }};
  PackedMatrix packed = pack_matrix(context_, source, storage_of(matrices, format));
  packed.n_features = static_cast<std::size_t>(features);
  pack_bias(context_, biases, packed);
  return std::make_unique<PackedLinear>(features, depth, std::move(packed));
}

std::unique_ptr<LinearWeight> CpuBackend::make_gate_up(const HostTensor& gate, const HostTensor& up,
                                                       WeightFormat format) {
  const HostTensor parts[] = {gate, up};
  check_make_linear(parts, {});
  QASR_CHECK_MSG(gate.shape == up.shape,
                 gate.name + " " + gate.shape.to_string() + ", " + up.name + " " + up.shape.to_string());
  const auto d_ff = static_cast<std::size_t>(gate.shape[0]), width = context_.isa.panel_width;
  const auto source_row = [&](std::size_t column) -> SourceRow {
    const std::size_t panel = column / width, row = panel / 2 * width + column % width;
    if (row >= d_ff) return {};
    return {&parts[panel % 2], static_cast<std::int64_t>(row)};
  };
  const PackSource source{.tensors = parts,
                          .depth = static_cast<std::size_t>(gate.shape[1]),
                          .n_panels = 2 * ceil_div(d_ff, width),
                          .source_row = source_row};
  PackedMatrix packed = pack_matrix(context_, source, storage_of(parts, format));
  packed.n_features = d_ff;
  return std::make_unique<PackedLinear>(2 * gate.shape[0], gate.shape[1], std::move(packed));
}

std::unique_ptr<ConvStemWeight> CpuBackend::make_conv_stem(std::span<const HostTensor, 3> weights,
                                                           std::span<const HostTensor, 3> biases, WeightFormat format) {
  constexpr std::size_t kTaps = 9;
  const std::int64_t channels = check_make_conv_stem(weights, biases);
  auto stem = std::make_unique<PackedConvStem>(channels);
  for (std::size_t conv = 0; conv < 3; ++conv) {
    const std::span<const HostTensor> tensors(&weights[conv], 1);
    const auto inputs = static_cast<std::size_t>(weights[conv].shape[1]);
    const PackSource source{.tensors = tensors,
                            .depth = kTaps * inputs,
                            .n_panels = ceil_div(static_cast<std::size_t>(channels), context_.isa.panel_width),
                            .n_segments = kTaps,
                            .source_row = [&](std::size_t column) { return stacked_row(tensors, column); },
                            // From [input channel][tap] to [tap][input channel].
                            .depth_order = [inputs](std::size_t k) { return k % inputs * kTaps + k / inputs; }};
    Storage storage = storage_of(tensors, format);
    if (conv == 0 && is_quantized(storage)) storage = storage_of(tensors, WeightFormat::kStored);  // a row of 9
    stem->convs[conv] = pack_matrix(context_, source, storage);
    stem->convs[conv].n_features = static_cast<std::size_t>(channels);
    pack_bias(context_, std::span<const HostTensor>(&biases[conv], 1), stem->convs[conv]);
  }
  return stem;
}

}  // namespace qasr::cpu
