// Signed bytes on both sides of the dot product: what the AArch64 instruction sets with such products share.
#pragma once

#include "backend/cpu/isa/neon_float.h"

namespace qasr::cpu::isa {
namespace {

struct NeonInt8 : NeonFloat {
  using X = std::int8_t;
  static constexpr bool kOffsetWeights = false;
  static constexpr bool kWidensWeights = false;
  static constexpr bool kDotsFromMemory = false;

  static int8x16_t load_16(const std::byte* from) { return vld1q_s8(reinterpret_cast<const std::int8_t*>(from)); }
  static int8x16_t low_nibbles(int8x16_t bytes) { return vandq_s8(bytes, vdupq_n_s8(15)); }
  static int8x16_t high_nibbles(int8x16_t bytes) {
    return vreinterpretq_s8_u8(vshrq_n_u8(vreinterpretq_u8_s8(bytes), 4));
  }
  static void store_16(std::byte* to, int8x16_t bytes) { vst1q_s8(reinterpret_cast<std::int8_t*>(to), bytes); }

  static std::int32_t store_rounded(const F* values, F inverse, X* q) {
    int32x4_t total = vdupq_n_s32(0);
    for (int v = 0; v < 8; v += 2) {
      const int32x4_t low = vcvtnq_s32_f32(vmulq_f32(values[v], inverse));
      const int32x4_t high = vcvtnq_s32_f32(vmulq_f32(values[v + 1], inverse));
      total = vaddq_s32(total, vaddq_s32(low, high));
      vst1_s8(q + kLanes * v, vqmovn_s16(vcombine_s16(vqmovn_s32(low), vqmovn_s32(high))));
    }
    return vaddvq_s32(total);
  }
};

}  // namespace
}  // namespace qasr::cpu::isa
