// Stands in for the AVX files that are not built: on other architectures all of them.
#include "backend/cpu/isa/tables.h"

namespace qasr::cpu {

#ifndef QASR_WITH_AVX2
extern const isa::KernelTable* const kAvx2Table = nullptr;
#endif
#ifndef QASR_WITH_AVX2_VNNI
extern const isa::KernelTable* const kAvx2VnniTable = nullptr;
#endif
#ifndef QASR_WITH_AVX512
extern const isa::KernelTable* const kAvx512Table = nullptr;
#endif
#ifndef QASR_WITH_AVX512_VNNI
extern const isa::KernelTable* const kAvx512VnniTable = nullptr;
#endif
#ifndef QASR_WITH_AVX512_BF16
extern const isa::PairKernels* const kAvx512Bf16Pairs = nullptr;
#endif
#ifndef QASR_WITH_AVX512_AMX
extern const isa::KernelTable* const kAvx512AmxTable = nullptr;
#endif

}  // namespace qasr::cpu
