// What differs between processors outside the instruction-set kernels: the architecture's name and the hint a waiting
// loop gives to the core.
#pragma once

#if defined(__x86_64__)
#define QASR_X86_64 1
#elif defined(__aarch64__)
#define QASR_AARCH64 1
#endif

namespace qasr {

/// Tells the core that this thread is waiting in a loop: less power, and the sibling hardware thread runs faster.
inline void cpu_relax() {
#if defined(QASR_X86_64)
  __builtin_ia32_pause();
#elif defined(QASR_AARCH64)
  asm volatile("isb" ::: "memory");  // waits long enough to matter, unlike "yield", which most cores ignore
#endif
}

}  // namespace qasr
