// Makes the backends that EngineOptions name.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "qasr/options.h"

namespace qasr {

/// @throws Error kInvalidArgument  an instruction set nobody knows (the message lists the known ones); kDevice  one
/// this machine lacks (the message lists those it has)
std::unique_ptr<Backend> make_backend(const EngineOptions& options);

/// The same, one for every copy of the model: copies_per_device of them on the device, or on every GPU.
/// @throws Error as make_backend does; kInvalidArgument  copies_per_device is less than 1
std::vector<std::unique_ptr<Backend>> make_backends(const EngineOptions& options);

/// An NVIDIA GPU.
/// @throws Error kDevice  the library was built without CUDA, there is no such GPU, or cuBLASLt is missing
std::unique_ptr<Backend> make_cuda_backend(int device);
/// How many GPUs CUDA lists; 0 where cuda_problem() says why.
int n_cuda_devices();
/// Why there is no GPU to use, in one line; "" if there is one.
std::string cuda_problem();
bool built_with_cuda();

/// Name of the instruction set that make_cpu_backend takes for `isa`. @throws as it does
std::string cpu_isa_name(const std::string& isa);

std::unique_ptr<Backend> make_reference_backend();
/// isa: "" for the best supported one, or one of those listed at EngineOptions::cpu_isa. n_threads 0: one per physical
/// core the process may use.
std::unique_ptr<Backend> make_cpu_backend(int n_threads, const std::string& isa);

}  // namespace qasr
