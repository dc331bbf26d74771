#include "backend/registry.h"

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/isa_selection.h"

namespace qasr {

namespace {

void log(const EngineOptions& options, const std::string& line) {
  if (options.log) options.log(line);
}

bool suits_cuda(const EngineOptions& options) {
  using enum WeightFormat;
  const bool has_weights =
      options.weights == kAuto || options.weights == kBf16 || options.weights == kQ8 || options.weights == kFp8;
  return has_weights && options.kv_cache != KvCacheFormat::kF32;
}

// A program without CUDA is silent about it; one with CUDA says what it chose and why.
std::unique_ptr<Backend> make_best_backend(const EngineOptions& options) {
  if (built_with_cuda()) {
    std::string reason = cuda_problem();
    if (reason.empty() && !suits_cuda(options))
      reason = "cuda: weights are bf16, q8 or fp8, and the KV cache bf16 or fp8";
    if (reason.empty()) {
      try {
        return make_cuda_backend(options.cuda_device);
      } catch (const Error& error) {
        reason = error.what();
      }
    }
    log(options, reason + "; using the CPU");
  }
  return make_cpu_backend(options.n_threads, options.cpu_isa);
}

}  // namespace

std::unique_ptr<Backend> make_backend(const EngineOptions& options) {
  switch (options.backend) {
    case BackendKind::kAuto:
      return make_best_backend(options);
    case BackendKind::kCuda:
      return make_cuda_backend(options.cuda_device);
    case BackendKind::kCpu:
      return make_cpu_backend(options.n_threads, options.cpu_isa);
    case BackendKind::kReference:
      return make_reference_backend();
  }
  throw Error(ErrorCode::kInvalidArgument,
              "backend: unknown kind " + std::to_string(static_cast<int>(options.backend)));
}

std::vector<std::unique_ptr<Backend>> make_backends(const EngineOptions& options) {
  if (options.copies_per_device < 1) {
    throw Error(ErrorCode::kInvalidArgument,
                "copies_per_device is " + std::to_string(options.copies_per_device) + ", expected 1 or more");
  }
  std::vector<std::unique_ptr<Backend>> backends;
  const bool on_gpus = options.backend == BackendKind::kCuda || options.backend == BackendKind::kAuto;
  const int n_gpus = on_gpus && options.cuda_device == kAllCudaDevices ? n_cuda_devices() : 0;
  for (int copy = 0; copy < options.copies_per_device; ++copy) {
    EngineOptions one = options;
    one.cuda_device = n_gpus > 0 || options.cuda_device == kAllCudaDevices ? 0 : options.cuda_device;
    do {
      backends.push_back(make_backend(one));
    } while (++one.cuda_device < n_gpus);
  }
  return backends;
}

std::unique_ptr<Backend> make_cpu_backend(int n_threads, const std::string& isa) {
  return std::make_unique<cpu::CpuBackend>(n_threads, cpu::select_isa(isa));
}

std::string cpu_isa_name(const std::string& isa) { return cpu::select_isa(isa).name; }

}  // namespace qasr
