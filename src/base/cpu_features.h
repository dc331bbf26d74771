// What this machine is and offers at run time: vector instruction sets.
#pragma once

namespace qasr {

/// Vector instructions that both the processor and the operating system support.
struct CpuFeatures {
  bool avx2 = false;          ///< AVX2, FMA and F16C
  bool avx2_vnni = false;     ///< avx2 and AVX-VNNI
  bool avx512 = false;        ///< avx2 and AVX-512 F, BW, VL and DQ
  bool avx512_vnni = false;   ///< avx512 and AVX-512 VNNI
  bool avx512_bf16 = false;   ///< avx512_vnni and AVX-512 BF16
  bool avx512_amx = false;    ///< avx512_vnni and AMX tiles of 8-bit integers, which the kernel lets this process use
  bool amd = false;           ///< an x86-64 processor of AMD
  bool neon = false;          ///< part of every AArch64
  bool neon_dotprod = false;  ///< neon and SDOT, UDOT
  bool neon_i8mm = false;     ///< neon_dotprod and SMMLA, UMMLA
};

CpuFeatures cpu_features();

}  // namespace qasr
