// The kernel tables of this build. Which of them a machine can run is decided in cpu/isa_selection.cc.
#pragma once

#include "backend/cpu/isa/kernel_table.h"

namespace qasr::cpu {

/// Null where the instruction set does not exist on the architecture this library was built for.
extern const isa::KernelTable* const kGenericTable;
extern const isa::KernelTable* const kAvx2Table;
extern const isa::KernelTable* const kAvx2VnniTable;
extern const isa::KernelTable* const kAvx512Table;
extern const isa::KernelTable* const kAvx512VnniTable;
extern const isa::KernelTable* const kAvx512AmxTable;
extern const isa::PairKernels* const kAvx512Bf16Pairs;  ///< beside kAvx512VnniTable
extern const isa::KernelTable* const kNeonTable;
extern const isa::KernelTable* const kNeonDotprodTable;
extern const isa::KernelTable* const kNeonI8mmTable;

}  // namespace qasr::cpu
