// Advanced SIMD with SDOT: dot products of four signed bytes. Compiled with -march=armv8.2-a+dotprod; reached only
// through the table.
#include "backend/cpu/isa/make_table.h"
#include "backend/cpu/isa/neon_int8.h"
#include "backend/cpu/isa/tables.h"

namespace qasr::cpu::isa {
namespace {

struct NeonDotprod : NeonInt8 {
  using I = int32x4_t;
  using W = int8x16_t;  // four depths of 4 features
  using Broadcast = int8x8_t;  // four depths; the rest is not looked at
  static constexpr int kDepthGroup = 4;
  static constexpr int kRowGroup = 1;
  static constexpr int kQuantRows = 6;  // 24 sums + 4 weights + 1 broadcast of 32 registers
  static constexpr int kQuantTemporaries = 10;

  static W load_bytes(const std::byte* from) { return load_16(from); }
  static W load_low_nibbles(const std::byte* from) { return low_nibbles(load_16(from)); }
  static W load_high_nibbles(const std::byte* from) { return high_nibbles(load_16(from)); }
  static W load_w(const std::byte* from) { return load_16(from); }
  static void store_w(std::byte* to, W w) { store_16(to, w); }

  static I zero_sum() { return vdupq_n_s32(0); }
  // Reads eight: behind the last of a record are its scales.
  static Broadcast broadcast_activations(const X* x) { return vld1_s8(x); }
  static void dot(I& sum, W w, Broadcast x) { sum = vdotq_lane_s32(sum, w, x, 0); }
  static F sum_to_float(I sum) { return vcvtq_f32_s32(sum); }
};

constexpr KernelTable kTable = make_table<NeonDotprod>("neon-dotprod");

}  // namespace
}  // namespace qasr::cpu::isa

namespace qasr::cpu {

extern const isa::KernelTable* const kNeonDotprodTable = &isa::kTable;

}  // namespace qasr::cpu
