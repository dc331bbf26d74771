// Run-time detection through the compiler's CPUID built-ins, which also check that the operating system saves the
// wide registers.
#include "base/cpu_features.h"

#include <sched.h>

#include <algorithm>
#include <thread>

#include "base/platform.h"

namespace qasr {

CpuFeatures cpu_features() {
  CpuFeatures features;
#if defined(QASR_X86_64)
  __builtin_cpu_init();
  features.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  features.avx512 = features.avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
#elif defined(QASR_AARCH64)
  features.neon = true;
#endif
  return features;
}

int available_cores() {
  cpu_set_t mask;
  if (::sched_getaffinity(0, sizeof(mask), &mask) == 0) return std::max(1, CPU_COUNT(&mask));
  // More cores than cpu_set_t holds.
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace qasr
