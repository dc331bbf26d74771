// Memory and weights of the reference backend; operations are in files of their own.
#include "backend/reference/reference_backend.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include "backend/op_checks.h"
#include "backend/reference/quantized.h"
#include "backend/registry.h"
#include "tensor/host_tensor.h"
#include "tensor/stored_blocks.h"
#include "tensor/widen.h"

namespace qasr::reference {
namespace {

class HostBuffer final : public Buffer {
 public:
  explicit HostBuffer(std::size_t bytes) : Buffer(nullptr, bytes), memory_(bytes) { data_ = memory_.data(); }

 private:
  std::vector<std::byte> memory_;
};

// Codes of one scale: the largest magnitude over 448.
void round_row_e4m3(std::span<float> row) {
  float largest = 0;
  for (float value : row) largest = std::max(largest, std::fabs(value));
  const float scale = largest > 0 ? largest / kLargestE4M3 : 1.0f;
  for (float& value : row) value = round_to_e4m3(value / scale) * scale;
}

// Whether the tensor's own integers are those of `format`: then `values` needs no rounding, but for blocks that our
// kernels do not have.
bool round_held(const HostTensor& tensor, WeightFormat format, std::vector<float>& values) {
  if (stored_format(tensor) != format) return false;
  const auto blocks = static_cast<std::size_t>(tensor.shape[1]) / kQuantBlock;
  for (std::size_t i = 0; format == WeightFormat::kQ8 && i < values.size(); ++i) {
    const std::size_t block = i / kQuantBlock;
    const Q8Block held = stored_q8(tensor, static_cast<std::int64_t>(block / blocks), block % blocks);
    values[i] = to_f32(held.scale) * static_cast<float>(held.q[i % kQuantBlock]);
  }
  return true;
}

// The values that `format` holds of a matrix [out, in], [out, in, 3, 3] or a vector.
std::vector<float> widen(const HostTensor& tensor, WeightFormat format) {
  std::vector<float> values(static_cast<std::size_t>(tensor.shape.elements()));
  widen_to_f32(tensor, values);
  if (format == WeightFormat::kBf16) {  // rounds what is not bf16 already
    for (float& value : values) value = to_f32(to_bf16(value));
  }
  if (format == WeightFormat::kFp8 && tensor.shape.rank() == 2) {
    const auto inputs = static_cast<std::size_t>(tensor.shape[1]);
    for (std::size_t row = 0; row < values.size(); row += inputs) round_row_e4m3({&values[row], inputs});
  }
  if (!is_quantized(format) || round_held(tensor, format, values)) return values;
  // A convolution's blocks run over the input channels of one tap.
  const auto inputs = static_cast<std::size_t>(tensor.shape[1]);
  const std::size_t taps = tensor.shape.rank() == 4 ? 9 : 1;
  for (std::size_t row = 0; row < values.size(); row += inputs * taps) {
    for (std::size_t tap = 0; tap < taps; ++tap) round_weights(&values[row + tap], inputs, taps, format);
  }
  return values;
}

void append(std::vector<float>& to, const std::vector<float>& from) { to.insert(to.end(), from.begin(), from.end()); }

}  // namespace

std::vector<float> Linear::input_row(ConstTensorView x, std::int64_t row) const {
  const float* from = x.as<float>() + row * x.cols();
  std::vector<float> inputs(from, from + x.cols());
  if (quantizes_inputs) round_activations(inputs.data(), inputs.size(), 1);
  return inputs;
}

Cache::Cache(const KvCacheShape& shape) : KvCache(shape) {
  const std::size_t elements = static_cast<std::size_t>(shape.n_layers) * static_cast<std::size_t>(shape.n_pages) *
                               static_cast<std::size_t>(shape.page_tokens) *
                               static_cast<std::size_t>(shape.n_kv_heads) * static_cast<std::size_t>(shape.head_dim);
  try {
    keys_ = std::make_unique_for_overwrite<float[]>(elements);
    values_ = std::make_unique_for_overwrite<float[]>(elements);
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kOutOfMemory, "cannot allocate a KV cache of " + std::to_string(8 * elements) + " bytes");
  }
}

std::size_t Cache::at(int layer, std::int32_t page, int slot, int kv_head) const {
  const KvCacheShape& s = shape();
  std::size_t index = static_cast<std::size_t>(layer);
  index = index * static_cast<std::size_t>(s.n_pages) + static_cast<std::size_t>(page);
  index = index * static_cast<std::size_t>(s.page_tokens) + static_cast<std::size_t>(slot);
  index = index * static_cast<std::size_t>(s.n_kv_heads) + static_cast<std::size_t>(kv_head);
  return index * static_cast<std::size_t>(s.head_dim);
}

std::unique_ptr<Buffer> ReferenceBackend::allocate(std::size_t bytes) {
  try {
    return std::make_unique<HostBuffer>(bytes);
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kOutOfMemory, "cannot allocate " + std::to_string(bytes) + " bytes");
  }
}

void ReferenceBackend::upload(const void* host, TensorView destination) {
  if (destination.bytes() > 0) std::memcpy(destination.data, host, destination.bytes());
}

void ReferenceBackend::download(ConstTensorView source, void* host) {
  if (source.bytes() > 0) std::memcpy(host, source.data, source.bytes());
}

std::unique_ptr<KvCache> ReferenceBackend::make_kv_cache(const KvCacheShape& shape) {
  return std::make_unique<Cache>(shape);
}

void ReferenceBackend::copy_kv_page(KvCache& cache, std::int32_t from, std::int32_t to) {
  Cache& memory = static_cast<Cache&>(cache);
  const KvCacheShape& s = cache.shape();
  check_indices(std::vector<std::int32_t>{from, to}, s.n_pages);
  const auto n = static_cast<std::size_t>(s.page_tokens) * static_cast<std::size_t>(s.n_kv_heads) *
                 static_cast<std::size_t>(s.head_dim);
  for (int layer = 0; layer < s.n_layers; ++layer) {
    std::copy_n(memory.key(layer, from, 0, 0), n, memory.key(layer, to, 0, 0));
    std::copy_n(memory.value(layer, from, 0, 0), n, memory.value(layer, to, 0, 0));
  }
}

std::unique_ptr<LinearWeight> ReferenceBackend::make_linear(std::span<const HostTensor> matrices,
                                                            std::span<const HostTensor> biases, WeightFormat format) {
  const std::int64_t rows = check_make_linear(matrices, biases);
  std::vector<float> values, bias;
  for (const HostTensor& matrix : matrices) append(values, widen(matrix, format));
  for (const HostTensor& part : biases) append(bias, widen(part, WeightFormat::kF32));
  return std::make_unique<Linear>(std::move(values), std::move(bias), rows, matrices[0].shape[1], is_quantized(format));
}

std::unique_ptr<LinearWeight> ReferenceBackend::make_gate_up(const HostTensor& gate, const HostTensor& up,
                                                             WeightFormat format) {
  QASR_CHECK(gate.shape == up.shape);
  const HostTensor parts[] = {gate, up};
  return make_linear(parts, {}, format);
}

std::unique_ptr<ConvStemWeight> ReferenceBackend::make_conv_stem(std::span<const HostTensor, 3> weights,
                                                                 std::span<const HostTensor, 3> biases,
                                                                 WeightFormat format) {
  auto stem = std::make_unique<ConvStem>(check_make_conv_stem(weights, biases), is_quantized(format));
  for (std::size_t conv = 0; conv < 3; ++conv) {
    const bool exact = conv == 0 && is_quantized(format);
    stem->weight[conv] = widen(weights[conv], exact ? WeightFormat::kF32 : format);
    stem->bias[conv] = widen(biases[conv], WeightFormat::kF32);
  }
  return stem;
}

}  // namespace qasr::reference

namespace qasr {

std::unique_ptr<Backend> make_reference_backend() { return std::make_unique<reference::ReferenceBackend>(); }

}  // namespace qasr
