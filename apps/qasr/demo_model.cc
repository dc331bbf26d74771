// The list of embedded files and the notice about them. The data itself is in the generated demo_model_data.S.
#include "demo_model.h"

#include <span>

namespace qasr::app {
namespace {

// One pair of symbols per file, defined by the assembler file that CMake generates next to this list.
#define QASR_DEMO_FILE(index, name)                            \
  extern "C" const std::byte qasr_demo_file_##index##_begin[]; \
  extern "C" const std::byte qasr_demo_file_##index##_end[];
#include "demo_model_files.inc"
#undef QASR_DEMO_FILE

}  // namespace

std::vector<ModelFile> demo_model_files() {
  return {
#define QASR_DEMO_FILE(index, name) \
  ModelFile{name, std::span(qasr_demo_file_##index##_begin, qasr_demo_file_##index##_end)},
#include "demo_model_files.inc"
#undef QASR_DEMO_FILE
  };
}

std::string demo_model_notice() {
  return "This is the built-in demonstration model: it knows only synthetic English voices and invents text on "
         "people.\n"
         "For real speech fetch Qwen/Qwen3-ASR-0.6B from Hugging Face and run\n"
         "    qasr transcribe --model DIR FILE\n";
}

}  // namespace qasr::app
