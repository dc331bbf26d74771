#include "backend/cuda/cublaslt.h"

#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <string>

#include "qasr/error.h"

namespace qasr::cuda {
namespace {

// The major version the program was compiled for: its structures are those of the headers.
const std::string kLibrary = "libcublasLt.so." + std::to_string(CUDART_VERSION / 1000);

template <typename Function>
void find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (function == nullptr) throw Error(ErrorCode::kDevice, "cuda: " + kLibrary + " has no " + name);
}

CublasLt open() {
  void* library = dlopen(kLibrary.c_str(), RTLD_NOW | RTLD_LOCAL);  // stays open for the life of the process
  if (library == nullptr) {
    const char* reason = dlerror();
    throw Error(ErrorCode::kDevice,
                "cuda: cannot open " + kLibrary + (reason == nullptr ? "" : std::string(": ") + reason));
  }
  CublasLt table{};
  find(library, "cublasLtGetVersion", table.version);
  find(library, "cublasLtCreate", table.create);
  find(library, "cublasLtDestroy", table.destroy);
  find(library, "cublasLtMatmul", table.matmul);
  find(library, "cublasLtMatmulDescCreate", table.matmul_desc_create);
  find(library, "cublasLtMatmulDescDestroy", table.matmul_desc_destroy);
  find(library, "cublasLtMatmulDescSetAttribute", table.matmul_desc_set);
  find(library, "cublasLtMatrixLayoutCreate", table.layout_create);
  find(library, "cublasLtMatrixLayoutDestroy", table.layout_destroy);
  find(library, "cublasLtMatmulPreferenceCreate", table.preference_create);
  find(library, "cublasLtMatmulPreferenceDestroy", table.preference_destroy);
  find(library, "cublasLtMatmulPreferenceSetAttribute", table.preference_set);
  find(library, "cublasLtMatmulAlgoGetHeuristic", table.heuristic);
  return table;
}

}  // namespace

const CublasLt& cublaslt() {
  static const CublasLt table = open();
  return table;
}

void check(cublasStatus_t status, const char* operation) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(ErrorCode::kDevice, std::string("cuda: ") + operation + ": cuBLASLt status " + std::to_string(status));
}

}  // namespace qasr::cuda
