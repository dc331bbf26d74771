// Advanced SIMD with SMMLA: products of two rows and two features at eight depths, twice the work of SDOT. A row
// without a neighbour is multiplied with itself, at the cost of SDOT. Compiled with -march=armv8.2-a+dotprod+i8mm;
// reached only through the table.
#include "backend/cpu/isa/make_table.h"
#include "backend/cpu/isa/neon_int8.h"
#include "backend/cpu/isa/tables.h"

namespace qasr::cpu::isa {
namespace {

struct NeonI8mm : NeonInt8 {
  struct I {
    int32x4_t first, second;  // [2 rows][2 features]: features 0 and 1, 2 and 3
  };
  struct W {
    int8x16_t first, second;  // [2 features][8 depths]
  };
  using Broadcast = int8x16_t;  // [2 rows][8 depths]
  static constexpr int kDepthGroup = 8;
  static constexpr int kRowGroup = 2;
  static constexpr int kQuantRows = 4;  // 16 sums + 8 weights + 1 pair of rows of 32 registers
  static constexpr int kQuantTemporaries = 10;

  static W load_bytes(const std::byte* from) { return {load_16(from), load_16(from + 16)}; }
  static W load_low_nibbles(const std::byte* from) {
    return {low_nibbles(load_16(from)), low_nibbles(load_16(from + 16))};
  }
  static W load_high_nibbles(const std::byte* from) {
    return {high_nibbles(load_16(from)), high_nibbles(load_16(from + 16))};
  }
  static W load_w(const std::byte* from) { return load_bytes(from); }
  static void store_w(std::byte* to, W w) {
    store_16(to, w.first);
    store_16(to + 16, w.second);
  }

  static I zero_sum() { return {vdupq_n_s32(0), vdupq_n_s32(0)}; }
  static Broadcast broadcast_activations(const X* x, const X* next_row) {
    return vcombine_s8(vld1_s8(x), vld1_s8(next_row));
  }
  static void dot(I& sum, W w, Broadcast x) {
    sum.first = vmmlaq_s32(sum.first, x, w.first);
    sum.second = vmmlaq_s32(sum.second, x, w.second);
  }
  static F sum_to_float(I sum, int row) {
    const int64x2_t first = vreinterpretq_s64_s32(sum.first), second = vreinterpretq_s64_s32(sum.second);
    return vcvtq_f32_s32(vreinterpretq_s32_s64(row == 0 ? vzip1q_s64(first, second) : vzip2q_s64(first, second)));
  }
};

constexpr KernelTable kTable = make_table<NeonI8mm>("neon-i8mm");

}  // namespace
}  // namespace qasr::cpu::isa

namespace qasr::cpu {

extern const isa::KernelTable* const kNeonI8mmTable = &isa::kTable;

}  // namespace qasr::cpu
