// A checkpoint's tensor as f32, whatever its encoding. Values are exact where f32 can be: every bf16 and f16 is, a
// block's scale times its integer is (but for q6_K), the sum with a bias is rounded once.
#pragma once

#include <span>

#include "tensor/host_tensor.h"

namespace qasr {

/// Elements [begin, begin + out.size()) in the order of the shape. An empty `out` checks the dtype only. Any number of
/// threads may read one tensor. Cheapest where `begin` and the size are whole rows.
/// @throws Error kModel  a plain tensor that is no bf16, f16 or f32
void widen_to_f32(const HostTensor& tensor, std::span<float> out, std::int64_t begin = 0);

}  // namespace qasr
