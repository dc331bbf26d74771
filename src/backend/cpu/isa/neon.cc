// AArch64 Advanced SIMD without integer dot products: part of every AArch64, so no flags of its own.
#include "backend/cpu/isa/float_dots.h"
#include "backend/cpu/isa/make_table.h"
#include "backend/cpu/isa/neon_float.h"
#include "backend/cpu/isa/tables.h"

namespace qasr::cpu::isa {
namespace {

struct Neon : WithFloatDots<NeonFloat> {
  static uint8x8_t load_4(const std::byte* from) {
    std::uint32_t four;
    __builtin_memcpy(&four, from, sizeof(four));
    return vreinterpret_u8_u32(vdup_n_u32(four));
  }
  static F widen(uint8x8_t bytes) { return vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(bytes)))); }
  static W load_bytes(const std::byte* from) {
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u8(load_4(from))))));
  }
  static W load_low_nibbles(const std::byte* from) { return widen(vand_u8(load_4(from), vdup_n_u8(15))); }
  static W load_high_nibbles(const std::byte* from) { return widen(vshr_n_u8(load_4(from), 4)); }
};

constexpr KernelTable kTable = make_table<Neon>("neon");

}  // namespace
}  // namespace qasr::cpu::isa

namespace qasr::cpu {

extern const isa::KernelTable* const kNeonTable = &isa::kTable;

}  // namespace qasr::cpu
