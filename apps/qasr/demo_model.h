// The demonstration models inside the program: models/demo-en/, which transcribes, and models/demo-aligner-en/, which
// finds the times of its words, as read-only data (QasrEmbed.cmake).
#pragma once

#include <string>
#include <vector>

#include "qasr/engine.h"

namespace qasr::app {

inline constexpr const char* kDemoModelName = "demo-en";
inline constexpr const char* kDemoAlignerName = "demo-aligner-en";

/// The checkpoint's files; they live as long as the program.
std::vector<ModelFile> demo_model_files();

/// The forced aligner's files, likewise; none if the program was built without it (QASR_DEMO_ALIGNER_DIR empty).
std::vector<ModelFile> demo_aligner_files();

/// What it is, what it is not, and the command for a real model; several lines.
std::string demo_model_notice();

}  // namespace qasr::app
