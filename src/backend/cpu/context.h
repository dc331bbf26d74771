// What every operation of the CPU backend works with.
#pragma once

#include "backend/cpu/isa/kernel_table.h"
#include "backend/cpu/scratch_pool.h"
#include "backend/cpu/weight_memory.h"
#include "backend/packed_sections.h"
#include "base/thread_pool.h"

namespace qasr::cpu {

struct Context {
  const isa::KernelTable& isa;
  ThreadPool& pool;
  ScratchPool& scratch;
  WeightMemory& weight_memory;
  PackedSections* sections = nullptr;  ///< where weights that were packed before come from; may be null
};

constexpr std::size_t ceil_div(std::size_t a, std::size_t b) { return (a + b - 1) / b; }
constexpr std::size_t round_up(std::size_t a, std::size_t multiple) { return ceil_div(a, multiple) * multiple; }

}  // namespace qasr::cpu
