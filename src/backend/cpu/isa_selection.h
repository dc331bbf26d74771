// Chooses the kernel table for this machine, or the one asked for by name.
#pragma once

#include <string>
#include <vector>

#include "backend/cpu/isa/kernel_table.h"

namespace qasr::cpu {

/// Names this machine supports, best last: {"generic", "avx2"}.
std::vector<std::string> supported_isas();

/// @param name  empty: the best supported one
/// @throws Error kInvalidArgument (no such instruction set), kDevice (known, but not on this machine)
const isa::KernelTable& select_isa(const std::string& name);

/// How far ahead of their use kernels ask for weights that stream from memory, in bytes; 0: this processor's own
/// prefetch does better alone.
std::size_t stream_ahead_bytes();

}  // namespace qasr::cpu
