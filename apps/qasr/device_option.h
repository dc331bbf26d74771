// `--device`: the names of devices and what they mean for an engine.
#pragma once

#include <string>

#include "qasr/options.h"

namespace qasr::app {

/// Why `name` is no device, for --help and errors; "" if it is one.
std::string check_device(const std::string& name);

/// @param name  one that check_device accepts
void choose_device(const std::string& name, EngineOptions& options);

}  // namespace qasr::app
