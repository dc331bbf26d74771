// A checkpoint's floating-point tensor as f32. Values are exact: every bf16 and f16 is an f32.
#pragma once

#include <cstring>
#include <span>
#include <string>

#include "tensor/host_tensor.h"

namespace qasr {

/// Elements [begin, begin + out.size()) of a bf16, f16 or f32 tensor. An empty `out` checks the dtype only.
/// @throws Error kModel  any other dtype
inline void widen_to_f32(const HostTensor& tensor, std::span<float> out, std::int64_t begin = 0) {
  QASR_CHECK(begin >= 0 && begin + static_cast<std::int64_t>(out.size()) <= tensor.shape.elements());
  const std::byte* source = tensor.bytes.data() + static_cast<std::size_t>(begin) * dtype_bytes(tensor.dtype);
  if (tensor.dtype == DType::kF32) {
    if (!out.empty()) std::memcpy(out.data(), source, out.size_bytes());  // empty: perhaps no memory behind it
  } else if (tensor.dtype == DType::kBf16 || tensor.dtype == DType::kF16) {
    const bool is_bf16 = tensor.dtype == DType::kBf16;
    for (std::size_t i = 0; i < out.size(); ++i) {
      std::uint16_t bits;  // the source need not be aligned
      std::memcpy(&bits, source + 2 * i, 2);
      out[i] = is_bf16 ? to_f32(bf16{bits}) : to_f32(f16{bits});
    }
  } else {
    throw Error(ErrorCode::kModel, "tensor " + tensor.name + " is " + std::string(dtype_name(tensor.dtype)) +
                                       ", expected bf16, f16 or f32");
  }
}

}  // namespace qasr
