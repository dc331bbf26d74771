// Makes the backend that EngineOptions name.
#pragma once

#include <memory>

#include "backend/backend.h"
#include "qasr/options.h"

namespace qasr {

/// @throws Error kDevice  unknown or unsupported instruction set; the message lists the ones this machine has
std::unique_ptr<Backend> make_backend(const EngineOptions& options);

std::unique_ptr<Backend> make_reference_backend();
/// isa: "" for the best supported one, or "generic", "avx2", "avx512", "neon". n_threads 0: one per available core.
std::unique_ptr<Backend> make_cpu_backend(int n_threads, const std::string& isa);

}  // namespace qasr
