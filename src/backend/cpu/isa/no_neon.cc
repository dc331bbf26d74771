// Stands in for neon.cc on other architectures.
#include "backend/cpu/isa/tables.h"

namespace qasr::cpu {

extern const isa::KernelTable* const kNeonTable = nullptr;

}  // namespace qasr::cpu
