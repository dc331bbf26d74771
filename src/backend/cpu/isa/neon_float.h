// AArch64 Advanced SIMD: 32 registers of 4 floats. Shared by the instruction sets that build on them.
#pragma once

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

namespace qasr::cpu::isa {
namespace {

struct NeonFloat {
  using F = float32x4_t;
  static constexpr int kLanes = 4;
  static constexpr int kPanelVectors = 4;
  static constexpr int kTileRows = 6;  // 24 sums + 4 weights + 1 broadcast of 32 registers
  static constexpr int kAccumulators = 24;
  static constexpr int kRegisters = 32, kQuantRows = 4, kQuantTemporaries = 10;
  static constexpr std::size_t kDepthBlock = 256;  // a widened panel block of 16 KiB

  static F load(const float* from) { return vld1q_f32(from); }
  static void store(float* to, F value) { vst1q_f32(to, value); }
  static F broadcast(const float* from) { return vld1q_dup_f32(from); }
  static F set(float value) { return vdupq_n_f32(value); }
  static F zero() { return vdupq_n_f32(0.0f); }
  static void load_bf16_pair(const std::uint16_t* from, F& low, F& high) {
    const uint32x4_t words = vreinterpretq_u32_u16(vld1q_u16(from));
    low = vreinterpretq_f32_u32(vshlq_n_u32(words, 16));
    high = vreinterpretq_f32_u32(vandq_u32(words, vdupq_n_u32(0xffff0000u)));
  }
  static F load_n(const float* from, std::size_t count) {
    float lanes[kLanes] = {};
    for (std::size_t i = 0; i < count; ++i) lanes[i] = from[i];
    return load(lanes);
  }
  static void store_n(float* to, F value, std::size_t count) {
    float lanes[kLanes];
    store(lanes, value);
    for (std::size_t i = 0; i < count; ++i) to[i] = lanes[i];
  }
  static F first(F value, std::size_t count) {
    float lanes[kLanes];
    store(lanes, value);
    for (std::size_t i = count; i < kLanes; ++i) lanes[i] = 0.0f;
    return load(lanes);
  }

  static F add(F a, F b) { return vaddq_f32(a, b); }
  static F sub(F a, F b) { return vsubq_f32(a, b); }
  static F mul(F a, F b) { return vmulq_f32(a, b); }
  static F div(F a, F b) { return vdivq_f32(a, b); }
  static F fma(F a, F b, F c) { return vfmaq_f32(c, a, b); }
  static F min(F a, F b) { return vminq_f32(a, b); }  // NaN where either is
  static F max(F a, F b) { return vmaxq_f32(a, b); }  // NaN where either is
  static F select_less(F a, F b, F yes, F no) { return vbslq_f32(vcltq_f32(a, b), yes, no); }
  static F round(F x) { return vrndnq_f32(x); }
  static F pow2(F n) {
    const int32x4_t exponent = vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127));
    return vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23));
  }
  static float reduce_add(F x) {
    const float32x2_t two = vadd_f32(vget_low_f32(x), vget_high_f32(x));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
  }
  static float reduce_max(F x) { return vmaxvq_f32(x); }

  static F load_bf16(const std::uint16_t* from) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(from), 16)); }
  static F load_f16(const std::uint16_t* from) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from))); }
  static F abs(F x) { return vabsq_f32(x); }
  static F max_bits(F a, F b) {
    return vreinterpretq_f32_s32(vmaxq_s32(vreinterpretq_s32_f32(a), vreinterpretq_s32_f32(b)));
  }
  static std::int32_t reduce_max_bits(F x) { return vmaxvq_s32(vreinterpretq_s32_f32(x)); }
};

}  // namespace
}  // namespace qasr::cpu::isa
