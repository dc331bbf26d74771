// Weights on the GPU: row-major bf16 as checkpoints store them, biases in f32.
#include <string>
#include <vector>

#include "backend/cuda/cuda_backend.h"
#include "backend/op_checks.h"
#include "tensor/widen.h"

namespace qasr::cuda {
namespace {

void check_format(WeightFormat format) {
  if (format != WeightFormat::kAuto && format != WeightFormat::kBf16) {
    throw Error(ErrorCode::kInvalidArgument, "cuda: weights are held in bf16; expected auto or bf16");
  }
}

void check_width(std::int64_t size, const std::string& what) {
  if (size % 8 != 0) {
    throw Error(ErrorCode::kModel,
                "cuda: " + what + " has a dimension of " + std::to_string(size) + ", expected a multiple of 8");
  }
}

std::vector<float> widen(const HostTensor& tensor) {
  std::vector<float> values(static_cast<std::size_t>(tensor.shape.elements()));
  widen_to_f32(tensor, values);
  return values;
}

std::vector<bf16> round(const std::vector<float>& values) {
  std::vector<bf16> rounded;
  rounded.reserve(values.size());
  for (float value : values) rounded.push_back(to_bf16(value));
  return rounded;
}

// Copies a tensor to `to` as bf16.
void upload_bf16(Context& context, const HostTensor& tensor, Bf16* to) {
  if (tensor.dtype == DType::kBf16 && !tensor.channels_last)
    return context.upload(tensor.bytes.data(), to, tensor.bytes.size());
  const std::vector<bf16> values = round(widen(tensor));
  context.upload(values.data(), to, values.size() * sizeof(bf16));
}

DeviceMemory upload_floats(Context& context, const std::vector<float>& values) {
  DeviceMemory memory(values.size() * sizeof(float));
  context.upload(values.data(), memory.data(), memory.bytes());
  return memory;
}

// OIHW -> [O, (kh, kw, I)]: one row of the product per output channel, channels last.
std::vector<float> channels_last(const std::vector<float>& kernel, std::int64_t channels) {
  std::vector<float> packed(kernel.size());
  for (std::int64_t out = 0; out < channels; ++out) {
    for (std::int64_t in = 0; in < channels; ++in) {
      for (std::int64_t tap = 0; tap < 9; ++tap) {
        packed[static_cast<std::size_t>((out * 9 + tap) * channels + in)] =
            kernel[static_cast<std::size_t>((out * channels + in) * 9 + tap)];
      }
    }
  }
  return packed;
}

}  // namespace

CudaLinear::CudaLinear(std::int64_t out_features, std::int64_t in_features, bool has_bias)
    : LinearWeight(out_features, in_features, has_bias),
      weight(static_cast<std::size_t>(out_features * in_features) * sizeof(Bf16)),
      bias(has_bias ? static_cast<std::size_t>(out_features) * sizeof(float) : 0),
      bias_bf16(has_bias ? static_cast<std::size_t>(out_features) * sizeof(Bf16) : 0) {
  bytes_ = weight.bytes() + bias.bytes() + bias_bf16.bytes();
}

std::unique_ptr<LinearWeight> CudaBackend::make_linear(std::span<const HostTensor> matrices,
                                                       std::span<const HostTensor> biases, WeightFormat format) {
  const std::int64_t rows = check_make_linear(matrices, biases);
  check_format(format);
  check_width(rows, matrices[0].name);
  check_width(matrices[0].shape[1], matrices[0].name);
  const Context::Use use(context_);
  auto linear = std::make_unique<CudaLinear>(rows, matrices[0].shape[1], !biases.empty());
  Bf16* to = linear->weight.as<Bf16>();
  for (const HostTensor& matrix : matrices) {
    upload_bf16(context_, matrix, to);
    to += matrix.shape.elements();
  }
  std::int64_t column = 0;
  for (const HostTensor& bias : biases) {
    const std::vector<float> values = widen(bias);
    context_.upload(values.data(), linear->bias.as<float>() + column, values.size() * sizeof(float));
    upload_bf16(context_, bias, linear->bias_bf16.as<Bf16>() + column);
    column += bias.shape.elements();
  }
  return linear;
}

std::unique_ptr<LinearWeight> CudaBackend::make_gate_up(const HostTensor& gate, const HostTensor& up,
                                                        WeightFormat format) {
  QASR_CHECK(gate.shape == up.shape);
  check_width(gate.shape[0], gate.name);
  const HostTensor parts[] = {gate, up};
  return make_linear(parts, {}, format);
}

std::unique_ptr<ConvStemWeight> CudaBackend::make_conv_stem(std::span<const HostTensor, 3> weights,
                                                            std::span<const HostTensor, 3> biases,
                                                            WeightFormat format) {
  const std::int64_t channels = check_make_conv_stem(weights, biases);
  check_format(format);
  check_width(channels, weights[1].name);
  QASR_CHECK_MSG(channels <= 8192, "a block computes all channels");
  const Context::Use use(context_);
  auto stem = std::make_unique<CudaConvStem>(channels);
  std::vector<float> first = widen(weights[0]);
  for (float& value : first) value = to_f32(to_bf16(value));
  stem->first = upload_floats(context_, first);
  for (std::size_t conv = 0; conv < 2; ++conv) {
    const std::vector<bf16> packed = round(channels_last(widen(weights[conv + 1]), channels));
    stem->rest[conv] = std::make_unique<CudaLinear>(channels, 9 * channels, false);
    context_.upload(packed.data(), stem->rest[conv]->weight.data(), packed.size() * sizeof(bf16));
  }
  for (std::size_t conv = 0; conv < 3; ++conv) stem->bias[conv] = upload_floats(context_, widen(biases[conv]));
  return stem;
}

}  // namespace qasr::cuda
