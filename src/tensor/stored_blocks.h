// Quantised tensors whose integers a backend can hold as they are, so that loading them loses nothing: ggml's q8_0 is
// our q8 (tensor/quant_blocks.h), MLX's 4-bit groups of 32 and 64 with bf16 scales are our q4.
#pragma once

#include <optional>
#include <span>

#include "qasr/options.h"
#include "tensor/host_tensor.h"
#include "tensor/quant_blocks.h"

namespace qasr {

/// The format that holds exactly what every one of these stores: kQ8, kQ4 or kQ4G32; none if there is no such.
std::optional<WeightFormat> stored_format(std::span<const HostTensor> tensors);
inline std::optional<WeightFormat> stored_format(const HostTensor& tensor) { return stored_format({&tensor, 1}); }

/// Block `block` (of 32) of row `row` of a tensor whose stored_format is kQ8. A block with q = -128, which our kernels
/// do not have and ggml's quantiser never writes, is rounded anew.
Q8Block stored_q8(const HostTensor& tensor, std::int64_t row, std::size_t block);

/// Group `group` of row `row` of a tensor whose stored_format is kQ4 or kQ4G32.
Q4Group stored_q4(const HostTensor& tensor, std::int64_t row, std::size_t group);

}  // namespace qasr
