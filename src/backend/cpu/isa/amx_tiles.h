// Tile registers and products of Intel AMX (Intel Software Developer's Manual, volume 2, TDPBSSD; optimisation manual,
// chapter 20), as instructions: around the compiler's own functions GCC 12 may move the memory they read. Compiled with
// -mamx-tile -mamx-int8. The kernel must have given the process the registers: cpu_features() asks for them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace qasr::cpu::isa {
namespace {

// The tiles that tile_gemm.h works with: sums 0 and 1 [rows][16] i32, activations 4 and 5 [rows][32] i8, weights 6 and
// 7 [8 groups of depths][16 features][4 depths] i8.
struct AmxTiles {
  // Tiles of so many rows, at most 16. The registers are this thread's until release().
  static void configure(std::size_t rows) {
    constexpr int kActivations = 4, kWeights = 6, kTiles = 8;
    struct alignas(64) Palette {
      std::uint8_t id = 1, start_row = 0, reserved[14] = {};
      std::uint16_t row_bytes[16] = {};
      std::uint8_t rows[16] = {};
    } palette;
    static_assert(sizeof(Palette) == 64);
    for (int tile = 0; tile < kTiles; ++tile) {
      const bool is_activations = tile >= kActivations && tile < kWeights;
      palette.row_bytes[tile] = is_activations ? 32 : 64;
      palette.rows[tile] = tile < kWeights ? static_cast<std::uint8_t>(rows) : 8;
    }
    __asm__ volatile("ldtilecfg %0" ::"m"(palette) : "memory");
  }
  static void release() { __asm__ volatile("tilerelease" ::: "memory"); }

  template <int kTile>
  static void zero() {
    __asm__ volatile("tilezero %%tmm%c0" ::"i"(kTile));
  }
  // Rows `stride` bytes apart.
  template <int kTile>
  static void load(const void* from, std::size_t stride) {
    __asm__ volatile("tileloadd (%1,%2,1), %%tmm%c0" ::"i"(kTile), "r"(from), "r"(stride) : "memory");
  }
  template <int kTile>
  static void store(void* to, std::size_t stride) {
    __asm__ volatile("tilestored %%tmm%c0, (%1,%2,1)" ::"i"(kTile), "r"(to), "r"(stride) : "memory");
  }
  // sums += activations * weights
  template <int kSums, int kActivations, int kWeights>
  static void multiply_add() {
    __asm__ volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSums), "i"(kActivations), "i"(kWeights));
  }
};

}  // namespace
}  // namespace qasr::cpu::isa
