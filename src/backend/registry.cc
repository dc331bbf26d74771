#include "backend/registry.h"

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/isa_selection.h"

namespace qasr {

std::unique_ptr<Backend> make_backend(const EngineOptions& options) {
  switch (options.backend) {
    case BackendKind::kCpu:
      return make_cpu_backend(options.n_threads, options.cpu_isa);
    case BackendKind::kReference:
      return make_reference_backend();
  }
  throw Error(ErrorCode::kInvalidArgument,
              "backend: unknown kind " + std::to_string(static_cast<int>(options.backend)));
}

std::unique_ptr<Backend> make_cpu_backend(int n_threads, const std::string& isa) {
  return std::make_unique<cpu::CpuBackend>(n_threads, cpu::select_isa(isa));
}

std::string cpu_isa_name(const std::string& isa) { return cpu::select_isa(isa).name; }

}  // namespace qasr
