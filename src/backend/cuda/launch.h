// Launching kernels that overlap with the end of the one before: see wait_for_inputs in kernel_util.cuh.
#pragma once

#include <cuda_runtime.h>

#include "backend/cuda/context.h"

namespace qasr::cuda {

/// Weights worth fetching by a kernel in front of a product: with many rows memory is busy already.
inline Upcoming upcoming_for(const Context& context, std::int64_t rows) {
  constexpr std::int64_t kManyRows = 16;
  return rows <= kManyRows ? context.upcoming_weights() : Upcoming{};
}

/// Launches a kernel with `shared_bytes` of dynamic shared memory. The kernel must call wait_for_inputs().
template <typename... Parameters, typename... Arguments>
void launch_overlapped_shared(Context& context, const char* operation, dim3 grid, int threads, std::size_t shared_bytes,
                              void (*kernel)(Parameters...), Arguments... arguments) {
  constexpr std::size_t kAlwaysAllowed = std::size_t{48} << 10;
  if (shared_bytes > kAlwaysAllowed) {
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)),
          operation);
  }
  cudaLaunchAttribute overlap{};
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.dynamicSmemBytes = shared_bytes;
  config.stream = context.stream();
  config.attrs = &overlap;
  config.numAttrs = context.can_overlap() ? 1 : 0;
  check(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...), operation);
}

/// The same without dynamic shared memory.
template <typename... Parameters, typename... Arguments>
void launch_overlapped(Context& context, const char* operation, dim3 grid, int threads, void (*kernel)(Parameters...),
                       Arguments... arguments) {
  launch_overlapped_shared(context, operation, grid, threads, 0, kernel, arguments...);
}

}  // namespace qasr::cuda
