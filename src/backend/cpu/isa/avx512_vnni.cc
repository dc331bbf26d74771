// AVX-512 with VNNI as a kernel table. Compiled with the flags of avx512_vnni.h; reached only through the table.
#include "backend/cpu/isa/avx512_vnni.h"
#include "backend/cpu/isa/make_table.h"
#include "backend/cpu/isa/tables.h"

namespace qasr::cpu::isa {
namespace {

constexpr KernelTable kTable = make_table<Avx512Vnni>("avx512-vnni");

}  // namespace
}  // namespace qasr::cpu::isa

namespace qasr::cpu {

extern const isa::KernelTable* const kAvx512VnniTable = &isa::kTable;

}  // namespace qasr::cpu
