// Loops that do nothing but multiply-adds between registers, or nothing but loads: what the vector units and the memory
// of this machine can do at best, the yardstick of every matrix product. The former are written in assembly, apart from
// the kernels they judge, so that no compiler decides how they run.
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

/// Loads every byte of [data, data + n_bytes) with the widest vectors there are; 64-byte aligned, n_bytes a multiple of
/// 1024. Width matters: on Zen 3 vectors of 32 bytes read 9 % faster than those of 16.
using ReadLoop = void (*)(const std::byte* data, std::size_t n_bytes) noexcept;
ReadLoop read_loop();

/// The widest of each kind that processor and operating system support.
PeakLoops peak_loops();

}  // namespace qasr::bench
