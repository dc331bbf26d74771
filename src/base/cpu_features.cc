// Run-time detection: on x86-64 through the compiler's CPUID built-ins, which also check that the operating system
// saves the wide registers (those of AMX: that it grants them); on AArch64 as the kernel reports it.
#include "base/cpu_features.h"

#include "base/platform.h"

#if defined(QASR_X86_64)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(QASR_AARCH64)
#include <sys/auxv.h>
#endif

namespace qasr {
namespace {

#if defined(QASR_X86_64)
// Two features that __builtin_cpu_supports of Clang 14 and GCC 12 does not know. Both use the registers of AVX2, whose
// support by the operating system it has checked.
bool has_f16c() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx >> 29 & 1) != 0;
}

bool has_avx_vnni() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax >> 4 & 1) != 0;
}

// Tile registers are large, so Linux saves them only for processes that ask (Documentation/arch/x86/xstate.rst). The
// permission holds for all threads; asking again changes nothing.
bool may_use_amx_int8() {
#if defined(__linux__)
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  constexpr unsigned kTile = 1u << 24, kInt8 = 1u << 25;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0 || (edx & kTile) == 0 || (edx & kInt8) == 0) return false;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILE_DATA
  return ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}
#endif

}  // namespace

CpuFeatures cpu_features() {
  CpuFeatures features;
#if defined(QASR_X86_64)
  __builtin_cpu_init();
  features.amd = __builtin_cpu_is("amd");
  features.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
  features.avx2_vnni = features.avx2 && has_avx_vnni();
  features.avx512 = features.avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  features.avx512_vnni = features.avx512 && __builtin_cpu_supports("avx512vnni");
  features.avx512_bf16 = features.avx512_vnni && __builtin_cpu_supports("avx512bf16");
  features.avx512_amx = features.avx512_vnni && may_use_amx_int8();
#elif defined(QASR_AARCH64)
  features.neon = true;
  features.neon_dotprod = (::getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
  features.neon_i8mm = features.neon_dotprod && (::getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0;
#endif
  return features;
}

}  // namespace qasr
