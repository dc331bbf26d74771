// Stands in for the AVX files on other architectures.
#include "backend/cpu/isa/tables.h"

namespace qasr::cpu {

extern const isa::KernelTable* const kAvx2Table = nullptr;
extern const isa::KernelTable* const kAvx2VnniTable = nullptr;
extern const isa::KernelTable* const kAvx512Table = nullptr;
extern const isa::KernelTable* const kAvx512VnniTable = nullptr;

}  // namespace qasr::cpu
