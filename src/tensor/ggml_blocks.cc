#include "tensor/ggml_blocks.h"

#include <cstdint>
#include <cstring>

#include "base/check.h"

namespace qasr {
namespace {

constexpr std::size_t kHalf = 16;  // bytes of 4-bit values in a block of 32

float read_f16(const std::byte* from) noexcept {
  f16 value;
  std::memcpy(&value.bits, from, sizeof value.bits);
  return to_f32(value);
}

std::uint8_t u8(std::byte value) noexcept { return std::to_integer<std::uint8_t>(value); }

// q4_0, q4_1, q5_0, q5_1: w = d (q - zero) + m, with q of four bits or five. m = -0 changes nothing, not even a sign.
void decode_32(float d, float m, int zero, std::uint32_t fifth_bits, const std::byte* halves, float* out) noexcept {
  for (std::size_t j = 0; j < kHalf; ++j) {
    const int low = (u8(halves[j]) & 15) | static_cast<int>(fifth_bits >> j & 1) << 4;
    const int high = u8(halves[j]) >> 4 | static_cast<int>(fifth_bits >> (j + kHalf) & 1) << 4;
    out[j] = d * static_cast<float>(low - zero) + m;
    out[j + kHalf] = d * static_cast<float>(high - zero) + m;
  }
}

std::uint32_t read_u32(const std::byte* from) noexcept {
  std::uint32_t value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

void decode_q8_0(const std::byte* block, float* out) noexcept {
  const float d = read_f16(block);
  for (std::size_t j = 0; j < 32; ++j) out[j] = d * static_cast<float>(static_cast<std::int8_t>(block[2 + j]));
}

// Six-bit scale and minimum of sub-block j, packed into 12 bytes.
void scale_and_minimum(const std::byte* packed, std::size_t j, int& scale, int& minimum) noexcept {
  if (j < 4) {
    scale = u8(packed[j]) & 63;
    minimum = u8(packed[j + 4]) & 63;
  } else {
    scale = (u8(packed[j + 4]) & 15) | (u8(packed[j - 4]) >> 6) << 4;
    minimum = u8(packed[j + 4]) >> 4 | (u8(packed[j]) >> 6) << 4;
  }
}

// q4_K (fifth == null) and q5_K: groups of 64, the low halves of 32 bytes and then their high halves.
void decode_k45(const std::byte* block, const std::byte* fifth, const std::byte* halves, float* out) noexcept {
  const float d = read_f16(block), e = read_f16(block + 2);
  for (std::size_t j = 0; j < 8; ++j) {
    int scale, minimum;
    scale_and_minimum(block + 4, j, scale, minimum);
    const float step = d * static_cast<float>(scale), low = e * static_cast<float>(minimum);
    const std::byte* from = halves + j / 2 * 32;
    for (std::size_t l = 0; l < 32; ++l) {
      int q = j % 2 == 0 ? u8(from[l]) & 15 : u8(from[l]) >> 4;
      if (fifth != nullptr) q |= (u8(fifth[l]) >> j & 1) << 4;
      out[32 * j + l] = step * static_cast<float>(q) - low;
    }
  }
}

void decode_q6k(const std::byte* block, float* out) noexcept {
  const float d = read_f16(block + 208);
  for (std::size_t half = 0; half < 2; ++half) {
    const std::byte *low = block + 64 * half, *high = block + 128 + 32 * half, *scales = block + 192 + 8 * half;
    for (std::size_t quarter = 0; quarter < 4; ++quarter) {
      for (std::size_t l = 0; l < 32; ++l) {
        const std::uint8_t byte = u8(low[l + quarter % 2 * 32]);
        const int q = (quarter < 2 ? byte & 15 : byte >> 4) | (u8(high[l]) >> (2 * quarter) & 3) << 4;
        const auto scale = static_cast<float>(static_cast<std::int8_t>(scales[2 * quarter + l / 16]));
        out[128 * half + 32 * quarter + l] = d * scale * static_cast<float>(q - 32);
      }
    }
  }
}

}  // namespace

GgmlBlock ggml_block(Encoding encoding) {
  switch (encoding) {
    case Encoding::kQ4_0:
      return {"q4_0", 32, 18};
    case Encoding::kQ4_1:
      return {"q4_1", 32, 20};
    case Encoding::kQ5_0:
      return {"q5_0", 32, 22};
    case Encoding::kQ5_1:
      return {"q5_1", 32, 24};
    case Encoding::kQ8_0:
      return {"q8_0", 32, 34};
    case Encoding::kQ4K:
      return {"q4_K", 256, 144};
    case Encoding::kQ5K:
      return {"q5_K", 256, 176};
    case Encoding::kQ6K:
      return {"q6_K", 256, 210};
    case Encoding::kPlain:
    case Encoding::kMlxAffine:
      break;
  }
  QASR_CHECK_MSG(false, "no encoding of ggml");
  return {};
}

void decode_ggml_block(Encoding encoding, const std::byte* block, float* out) noexcept {
  switch (encoding) {
    case Encoding::kQ4_0:
      return decode_32(read_f16(block), -0.0f, 8, 0, block + 2, out);
    case Encoding::kQ4_1:
      return decode_32(read_f16(block), read_f16(block + 2), 0, 0, block + 4, out);
    case Encoding::kQ5_0:
      return decode_32(read_f16(block), -0.0f, 16, read_u32(block + 2), block + 6, out);
    case Encoding::kQ5_1:
      return decode_32(read_f16(block), read_f16(block + 2), 0, read_u32(block + 4), block + 8, out);
    case Encoding::kQ8_0:
      return decode_q8_0(block, out);
    case Encoding::kQ4K:
      return decode_k45(block, nullptr, block + 16, out);
    case Encoding::kQ5K:
      return decode_k45(block, block + 16, block + 48, out);
    case Encoding::kQ6K:
      return decode_q6k(block, out);
    case Encoding::kPlain:
    case Encoding::kMlxAffine:
      return;
  }
}

}  // namespace qasr
