// The demonstration model inside the program: models/demo-en/ as read-only data (demo_model_data.S.in).
#pragma once

#include <string>
#include <vector>

#include "qasr/engine.h"

namespace qasr::app {

inline constexpr const char* kDemoModelName = "demo-en";

/// The checkpoint's files; they live as long as the program.
std::vector<ModelFile> demo_model_files();

/// What it is, what it is not, and the command for a real model; several lines.
std::string demo_model_notice();

}  // namespace qasr::app
