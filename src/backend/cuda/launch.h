// Launching kernels that overlap with the end of the one before: see wait_for_inputs in kernel_util.cuh.
#pragma once

#include <cuda_runtime.h>

#include "backend/cuda/context.h"

namespace qasr::cuda {

/// Launches a kernel without dynamic shared memory. The kernel must call wait_for_inputs().
template <typename... Parameters, typename... Arguments>
void launch_overlapped(Context& context, const char* operation, dim3 grid, int threads, void (*kernel)(Parameters...),
                       Arguments... arguments) {
  cudaLaunchAttribute overlap{};
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.stream = context.stream();
  config.attrs = &overlap;
  config.numAttrs = context.can_overlap() ? 1 : 0;
  check(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...), operation);
}

}  // namespace qasr::cuda
