// Block formats of ggml, decoded: what GGUF files hold beside plain floats. Little-endian; a block is a run of one row.
//
//   q4_0  32   f16 d; 16 bytes, byte j: low half element j, high half element j + 16        w = d (q - 8)
//   q4_1  32   f16 d; f16 m; as q4_0                                                        w = d q + m
//   q5_0  32   f16 d; u32 fifth bits, bit j of element j; as q4_0                           w = d (q - 16)
//   q5_1  32   f16 d; f16 m; u32 fifth bits; as q4_0                                        w = d q + m
//   q8_0  32   f16 d; 32 x i8                                                               w = d q
//   q4_K 256   f16 d; f16 e; 12 bytes: 6-bit s and m of 8 sub-blocks; 128 bytes             w = (d s) q - (e m)
//   q5_K 256   the same with 32 bytes of fifth bits before the 128                          w = (d s) q - (e m)
//   q6_K 256   128 bytes low halves; 64 bytes upper pairs of bits; 16 x i8 s; f16 d         w = (d s) (q - 32)
//
// Products are rounded in the order of the parentheses; with the types' few bits only q6_K ever rounds one.
// Source: ggml-org/ggml (ggml-common.h) and gguf-py (quants.py), whose results these equal bit for bit.
#pragma once

#include <cstddef>
#include <string_view>

#include "tensor/host_tensor.h"

namespace qasr {

inline constexpr std::size_t kMaxGgmlBlock = 256;

struct GgmlBlock {
  std::string_view name;
  std::size_t elements = 1, bytes = 0;
};

/// Geometry of one of the ggml encodings.
GgmlBlock ggml_block(Encoding encoding);

/// One block -> its elements.    out [ggml_block(encoding).elements]
void decode_ggml_block(Encoding encoding, const std::byte* block, float* out) noexcept;

}  // namespace qasr
