// The lists of embedded files and the notice about them. The data itself is in assembler files that CMake generates
// (QasrEmbed.cmake).
#include "demo_model.h"

#include <span>

namespace qasr::app {
namespace {

// One pair of symbols per file.
#define QASR_EMBEDDED_FILE(index, name)                        \
  extern "C" const std::byte qasr_demo_model_##index##_begin[]; \
  extern "C" const std::byte qasr_demo_model_##index##_end[];
#include "demo_model_files.inc"
#undef QASR_EMBEDDED_FILE

#define QASR_EMBEDDED_FILE(index, name)                          \
  extern "C" const std::byte qasr_demo_aligner_##index##_begin[]; \
  extern "C" const std::byte qasr_demo_aligner_##index##_end[];
#include "demo_aligner_files.inc"
#undef QASR_EMBEDDED_FILE

}  // namespace

std::vector<ModelFile> demo_model_files() {
  return {
#define QASR_EMBEDDED_FILE(index, name) \
  ModelFile{name, std::span(qasr_demo_model_##index##_begin, qasr_demo_model_##index##_end)},
#include "demo_model_files.inc"
#undef QASR_EMBEDDED_FILE
  };
}

std::vector<ModelFile> demo_aligner_files() {
  return {
#define QASR_EMBEDDED_FILE(index, name) \
  ModelFile{name, std::span(qasr_demo_aligner_##index##_begin, qasr_demo_aligner_##index##_end)},
#include "demo_aligner_files.inc"
#undef QASR_EMBEDDED_FILE
  };
}

std::string demo_model_notice() {
  return "This is the built-in demonstration model: it knows only synthetic English voices and invents text on "
         "people.\n"
         "For real speech fetch Qwen/Qwen3-ASR-0.6B from Hugging Face and run\n"
         "    qasr transcribe --model DIR FILE\n";
}

}  // namespace qasr::app
