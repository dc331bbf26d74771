// Loops that do nothing but multiply-adds between registers: what the vector units of this machine can do at best, the
// yardstick of every matrix product. Written in assembly, apart from the kernels they judge, so that no compiler
// decides how they run.
#pragma once

#include <cstddef>

namespace qasr::bench {

/// One kind of arithmetic. `run` is null when this machine lacks it.
struct PeakLoop {
  const char* instruction = "";                              ///< "vpdpbusd zmm"
  void (*run)(std::size_t n_iterations) noexcept = nullptr;  ///< at least one iteration
  double multiply_adds = 0;                                  ///< in one iteration
};

struct PeakLoops {
  PeakLoop f32;   ///< f32 multiply-add
  PeakLoop bf16;  ///< dot product of bf16 pairs with f32 sums
  PeakLoop int8;  ///< dot product of bytes with 32-bit sums; of 16-bit pairs where there is nothing narrower
};

/// The widest of each kind that processor and operating system support.
PeakLoops peak_loops();

}  // namespace qasr::bench
