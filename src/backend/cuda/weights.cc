// Weights on the GPU: row-major bf16 as checkpoints store them, or codes of 8 bits made from those; biases in f32.
#include <algorithm>
#include <string>
#include <vector>

#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/eight_bit.h"
#include "backend/op_checks.h"
#include "tensor/widen.h"

namespace qasr::cuda {
namespace {

void check_width(std::int64_t size, const std::string& what, int multiple = 8) {
  if (size % multiple != 0) {
    throw Error(ErrorCode::kModel, "cuda: " + what + " has a dimension of " + std::to_string(size) +
                                       ", expected a multiple of " + std::to_string(multiple));
  }
}

// Bytes of a matrix, and of its scales: weight_codes.cuh.
std::size_t code_bytes(std::int64_t n, CudaFormat format) {
  return static_cast<std::size_t>(n) * (format == CudaFormat::kBf16 ? 2 : 1);
}
std::size_t scale_bytes(std::int64_t out, std::int64_t in, CudaFormat format) {
  switch (format) {
    case CudaFormat::kBf16:
      return 0;
    case CudaFormat::kQ8:
      return static_cast<std::size_t>(out * in / 32) * 2;
    case CudaFormat::kFp8:
      return static_cast<std::size_t>(out) * 4;
  }
  return 0;
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

// The same as codes, some rows at a time through bf16 in scratch memory.
void upload_codes(Context& context, const HostTensor& matrix, std::int64_t first_row, CudaLinear& w) {
  constexpr std::int64_t kPartBytes = std::int64_t{16} << 20;
  const std::int64_t in = matrix.shape[1], most = std::max<std::int64_t>(kPartBytes / (in * 2), 1);
  std::vector<float> values;
  DType dtype = matrix.dtype;
  std::span<const std::byte> bytes = matrix.bytes;
  if (bytes.size() != static_cast<std::size_t>(matrix.shape.elements()) * dtype_bytes(dtype)) {  // no plain array
    values = widen(matrix);
    dtype = DType::kF32;
    bytes = std::as_bytes(std::span(values));
  }
  const std::size_t row_bytes = static_cast<std::size_t>(in) * dtype_bytes(dtype);
  for (std::int64_t row = 0; row < matrix.shape[0]; row += most) {
    const std::int64_t n = std::min(most, matrix.shape[0] - row);
    const auto part_bytes =
        bytes.subspan(static_cast<std::size_t>(row) * row_bytes, static_cast<std::size_t>(n) * row_bytes);
    Bf16* on_gpu = context.scratch<Bf16>(Scratch::kWidened, n * in);
    upload_bf16(context, {matrix.name, dtype, {n, in}, part_bytes}, on_gpu);
    encode_rows(context, on_gpu, first_row + row, n, w);
  }
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

CudaLinear::CudaLinear(Context& context, const Shape& shape, bool has_bias, CudaFormat the_format)
    : LinearWeight(shape[0], shape[1], has_bias),
      format(the_format),
      weight(code_bytes(shape.elements(), format)),
      scales(scale_bytes(shape[0], shape[1], format)),
      bias(has_bias ? static_cast<std::size_t>(shape[0]) * sizeof(float) : 0),
      bias_bf16(has_bias ? static_cast<std::size_t>(shape[0]) * sizeof(Bf16) : 0),
      context_(context) {
  bytes_ = weight.bytes() + scales.bytes() + bias.bytes() + bias_bf16.bytes();
}

// @throws Error kInvalidArgument  a format that there is no kernel for, or that this GPU cannot multiply
CudaFormat CudaBackend::cuda_format(WeightFormat format) const {
  switch (format) {
    case WeightFormat::kAuto:
    case WeightFormat::kBf16:
      return CudaFormat::kBf16;
    case WeightFormat::kQ8:
      return CudaFormat::kQ8;
    case WeightFormat::kFp8:
      if (matmul_.has_fp8()) return CudaFormat::kFp8;
      throw Error(ErrorCode::kInvalidArgument,
                  "cuda: fp8 weights need a GPU of compute capability 9.0 and cuBLASLt of CUDA 12.9 or newer; found " +
                      context_.name() + " of " + std::to_string(context_.compute_capability() / 10) + "." +
                      std::to_string(context_.compute_capability() % 10) + " and cuBLASLt " +
                      std::to_string(matmul_.library_version()));
    default:
      throw Error(ErrorCode::kInvalidArgument, "cuda: expected weights auto, bf16, q8 or fp8");
  }
}

std::unique_ptr<LinearWeight> CudaBackend::make_linear(std::span<const HostTensor> matrices,
                                                       std::span<const HostTensor> biases, WeightFormat format) {
  const std::int64_t rows = check_make_linear(matrices, biases);
  const CudaFormat held = cuda_format(format);
  check_width(rows, matrices[0].name);
  check_width(matrices[0].shape[1], matrices[0].name, held == CudaFormat::kBf16 ? 8 : 32);
  const Context::Use use(context_);
  auto linear = std::make_unique<CudaLinear>(context_, Shape({rows, matrices[0].shape[1]}), !biases.empty(), held);
  std::int64_t row = 0;
  for (const HostTensor& matrix : matrices) {
    if (held == CudaFormat::kBf16) {
      upload_bf16(context_, matrix, linear->weight.as<Bf16>() + row * matrix.shape[1]);
    } else {
      upload_codes(context_, matrix, row, *linear);
    }
    row += matrix.shape[0];
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
  cuda_format(format);  // convolutions stay bf16: they are a hundredth of the weights
  check_width(channels, weights[1].name);
  QASR_CHECK_MSG(channels <= 8192, "a block computes all channels");
  const Context::Use use(context_);
  auto stem = std::make_unique<CudaConvStem>(channels);
  std::vector<float> first = widen(weights[0]);
  for (float& value : first) value = to_f32(to_bf16(value));
  stem->first = upload_floats(context_, first);
  for (std::size_t conv = 0; conv < 2; ++conv) {
    const std::vector<bf16> packed = round(channels_last(widen(weights[conv + 1]), channels));
    stem->rest[conv] =
        std::make_unique<CudaLinear>(context_, Shape({channels, 9 * channels}), false, CudaFormat::kBf16);
    context_.upload(packed.data(), stem->rest[conv]->weight.data(), packed.size() * sizeof(bf16));
  }
  for (std::size_t conv = 0; conv < 3; ++conv) stem->bias[conv] = upload_floats(context_, widen(biases[conv]));
  return stem;
}

}  // namespace qasr::cuda
