// Stands in for this folder in a build without CUDA.
#include "backend/registry.h"

namespace qasr {

bool built_with_cuda() { return false; }

int n_cuda_devices() { return 0; }

std::string cuda_problem() { return "cuda: this program was built without CUDA"; }

std::unique_ptr<Backend> make_cuda_backend(int) { throw Error(ErrorCode::kDevice, cuda_problem()); }

}  // namespace qasr
