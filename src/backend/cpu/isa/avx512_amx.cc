// AVX-512 with VNNI, and AMX for products of enough rows. Compiled with the flags of avx512_vnni.h and those of
// amx_tiles.h; reached only through the table.
#include "backend/cpu/isa/amx_tiles.h"
#include "backend/cpu/isa/avx512_vnni.h"
#include "backend/cpu/isa/make_table.h"
#include "backend/cpu/isa/tables.h"
#include "backend/cpu/isa/tile_gemm.h"

namespace qasr::cpu::isa {
namespace {

struct Avx512Amx : Avx512Vnni {
  static W signed_bytes(W w) { return _mm512_xor_si512(w, _mm512_set1_epi8(static_cast<char>(0x80))); }
  static I load_sum(const std::int32_t* from) { return _mm512_load_si512(from); }
};

// Fewer rows are through sooner with the weights as they lie in memory (docs/performance.md).
constexpr std::size_t kLeastRows = 48;

void amx_product(const QuantRows& rows, const QuantPanels& panels, std::byte* scratch, float* c,
                 std::size_t ldc) noexcept {
  if (rows.n_rows < kLeastRows) return quant_product<Avx512Amx>(rows, panels, scratch, c, ldc);
  tile_product<Avx512Amx, AmxTiles>(rows, panels, scratch, c, ldc);
}

constexpr KernelTable amx_table() {
  KernelTable table = make_table<Avx512Amx>("avx512-amx");
  table.quant_product = amx_product;
  table.quant_tile_rows = kTileRows;
  if (table.quant_scratch_bytes < sizeof(TileScratch<Avx512Amx>)) {
    table.quant_scratch_bytes = sizeof(TileScratch<Avx512Amx>);
  }
  return table;
}

constexpr KernelTable kTable = amx_table();

}  // namespace
}  // namespace qasr::cpu::isa

namespace qasr::cpu {

extern const isa::KernelTable* const kAvx512AmxTable = &isa::kTable;

}  // namespace qasr::cpu
