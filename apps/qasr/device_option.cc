#include "device_option.h"

#include <string_view>

namespace qasr::app {
namespace {

constexpr std::string_view kCuda = "cuda", kCudaNumber = "cuda:", kAllCuda = "cuda:all";

}  // namespace

std::string check_device(const std::string& name) {
  if (name == "auto" || name == "cpu" || name == kCuda || name == kAllCuda) return {};
  const std::string number = name.starts_with(kCudaNumber) ? name.substr(kCudaNumber.size()) : "";
  const bool valid =
      !number.empty() && number.size() <= 3 && number.find_first_not_of("0123456789") == std::string::npos;
  return valid ? "" : "unknown device '" + name + "', expected auto, cpu, cuda, cuda:N or cuda:all";
}

void choose_device(const std::string& name, EngineOptions& options) {
  if (name == "auto" || name == "cpu") {
    options.backend = name == "cpu" ? BackendKind::kCpu : BackendKind::kAuto;
    return;
  }
  options.backend = BackendKind::kCuda;
  if (name == kAllCuda) {
    options.cuda_device = kAllCudaDevices;
  } else if (name.starts_with(kCudaNumber)) {
    options.cuda_device = std::stoi(name.substr(kCudaNumber.size()));
  }
}

}  // namespace qasr::app
