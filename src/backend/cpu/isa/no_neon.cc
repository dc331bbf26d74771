// Stands in for the NEON files on other architectures.
#include "backend/cpu/isa/tables.h"

namespace qasr::cpu {

extern const isa::KernelTable* const kNeonTable = nullptr;
extern const isa::KernelTable* const kNeonDotprodTable = nullptr;
extern const isa::KernelTable* const kNeonI8mmTable = nullptr;

}  // namespace qasr::cpu
