// Stands in for avx2.cc and avx512.cc on other architectures.
#include "backend/cpu/isa/tables.h"

namespace qasr::cpu {

extern const isa::KernelTable* const kAvx2Table = nullptr;
extern const isa::KernelTable* const kAvx512Table = nullptr;

}  // namespace qasr::cpu
