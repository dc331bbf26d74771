// Makes the backend that EngineOptions name.
#pragma once

#include <memory>

#include "backend/backend.h"
#include "qasr/options.h"

namespace qasr {

/// @throws Error kInvalidArgument  an instruction set nobody knows (the message lists the known ones); kDevice  one
/// this machine lacks (the message lists those it has)
std::unique_ptr<Backend> make_backend(const EngineOptions& options);

/// Name of the instruction set that make_cpu_backend takes for `isa`. @throws as it does
std::string cpu_isa_name(const std::string& isa);

std::unique_ptr<Backend> make_reference_backend();
/// isa: "" for the best supported one, or one of those listed at EngineOptions::cpu_isa. n_threads 0: one per physical
/// core the process may use.
std::unique_ptr<Backend> make_cpu_backend(int n_threads, const std::string& isa);

}  // namespace qasr
