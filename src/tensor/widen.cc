#include "tensor/widen.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/check.h"
#include "qasr/error.h"
#include "tensor/affine_groups.h"
#include "tensor/ggml_blocks.h"

namespace qasr {
namespace {

void widen_plain(const HostTensor& tensor, std::span<float> out, std::int64_t begin) {
  const std::byte* source = tensor.bytes.data() + static_cast<std::size_t>(begin) * dtype_bytes(tensor.dtype);
  if (tensor.dtype == DType::kF32) {
    if (!out.empty()) std::memcpy(out.data(), source, out.size_bytes());  // empty: perhaps no memory behind it
    return;
  }
  const bool is_bf16 = tensor.dtype == DType::kBf16;
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::uint16_t bits;  // the source need not be aligned
    std::memcpy(&bits, source + 2 * i, 2);
    out[i] = is_bf16 ? to_f32(bf16{bits}) : to_f32(f16{bits});
  }
}

// From [O, H, W, I] to [O, I, H, W].
void widen_channels_last(const HostTensor& tensor, std::span<float> out, std::int64_t begin) {
  const std::int64_t inputs = tensor.shape[1], taps = tensor.shape[2] * tensor.shape[3];
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::int64_t at = begin + static_cast<std::int64_t>(i), kernel = at / (inputs * taps);
    const std::int64_t input = at / taps % inputs, tap = at % taps;
    widen_plain(tensor, out.subspan(i, 1), (kernel * taps + tap) * inputs + input);
  }
}

void widen_ggml(const HostTensor& tensor, std::span<float> out, std::int64_t begin) {
  const GgmlBlock block = ggml_block(tensor.encoding);
  float values[kMaxGgmlBlock];
  for (std::size_t done = 0; done < out.size();) {
    const std::size_t at = static_cast<std::size_t>(begin) + done, skip = at % block.elements;
    const std::size_t count = std::min(block.elements - skip, out.size() - done);
    const std::byte* from = tensor.bytes.data() + at / block.elements * block.bytes;
    if (count == block.elements) {
      decode_ggml_block(tensor.encoding, from, out.data() + done);
    } else {
      decode_ggml_block(tensor.encoding, from, values);
      std::copy_n(values + skip, count, out.data() + done);
    }
    done += count;
  }
}

}  // namespace

void widen_to_f32(const HostTensor& tensor, std::span<float> out, std::int64_t begin) {
  QASR_CHECK(begin >= 0 && begin + static_cast<std::int64_t>(out.size()) <= tensor.shape.elements());
  if (tensor.encoding == Encoding::kMlxAffine) return decode_affine(tensor, begin, out);
  if (tensor.encoding != Encoding::kPlain) return widen_ggml(tensor, out, begin);
  if (tensor.dtype != DType::kF32 && tensor.dtype != DType::kBf16 && tensor.dtype != DType::kF16) {
    throw Error(ErrorCode::kModel, "tensor " + tensor.name + " is " + std::string(dtype_name(tensor.dtype)) +
                                       ", expected bf16, f16 or f32");
  }
  if (tensor.channels_last) return widen_channels_last(tensor, out, begin);
  widen_plain(tensor, out, begin);
}

}  // namespace qasr
