// CUDA status codes as qasr::Error.
#pragma once

#include <cuda_runtime_api.h>

#include <string>

#include "qasr/error.h"

namespace qasr::cuda {

/// @throws Error kOutOfMemory or kDevice  the message names the operation
inline void check(cudaError_t status, const char* operation) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // an error that is not sticky is reported once
  const ErrorCode code = status == cudaErrorMemoryAllocation ? ErrorCode::kOutOfMemory : ErrorCode::kDevice;
  throw Error(code, std::string("cuda: ") + operation + ": " + cudaGetErrorString(status));
}

/// After a kernel launch: reports a bad configuration at once, and earlier failures of the device.
inline void check_launch(const char* operation) { check(cudaGetLastError(), operation); }

}  // namespace qasr::cuda
