// cuBLASLt, opened at run time: a program built with CUDA starts on machines that have neither GPU nor CUDA libraries.
#pragma once

#include <cublasLt.h>

namespace qasr::cuda {

/// The functions of libcublasLt that the backend calls.
struct CublasLt {
  decltype(&::cublasLtGetVersion) version;
  decltype(&::cublasLtCreate) create;
  decltype(&::cublasLtDestroy) destroy;
  decltype(&::cublasLtMatmul) matmul;
  decltype(&::cublasLtMatmulDescCreate) matmul_desc_create;
  decltype(&::cublasLtMatmulDescDestroy) matmul_desc_destroy;
  decltype(&::cublasLtMatmulDescSetAttribute) matmul_desc_set;
  decltype(&::cublasLtMatrixLayoutCreate) layout_create;
  decltype(&::cublasLtMatrixLayoutDestroy) layout_destroy;
  decltype(&::cublasLtMatmulPreferenceCreate) preference_create;
  decltype(&::cublasLtMatmulPreferenceDestroy) preference_destroy;
  decltype(&::cublasLtMatmulPreferenceSetAttribute) preference_set;
  decltype(&::cublasLtMatmulAlgoGetHeuristic) heuristic;
};

/// Opens the library once per process.
/// @throws Error kDevice  the library is not installed or lacks a function (the message says which)
const CublasLt& cublaslt();

/// @throws Error kDevice
void check(cublasStatus_t status, const char* operation);

}  // namespace qasr::cuda
