#include "word_options.h"

#include "demo_model.h"
#include "model_cache.h"
#include "option_values.h"

namespace qasr::app {

void add_word_options(CLI::App& command, TranscribeArguments& arguments) {
  constexpr const char* kWords = "Word times";
  command.add_flag("--words", arguments.words, "When each word is said: in JSON, and where subtitles are cut")
      ->group(kWords);
  command
      .add_option("--aligner", arguments.aligner,
                  "The forced aligner for that: a directory, a safetensors or GGUF file, or a downloaded model; "
                  "default: the one that `qasr download aligner` brought, the built-in one for the demonstration model")
      ->type_name("MODEL")
      ->group(kWords);
}

bool wants_words(const TranscribeArguments& arguments) { return arguments.words || !arguments.aligner.empty(); }

std::shared_ptr<const Aligner> open_built_in_aligner(const EngineOptions& options) {
  const std::vector<ModelFile> files = demo_aligner_files();
  if (files.empty()) refuse("no forced aligner is built into this program; name one with --aligner MODEL");
  return Aligner::open(files, kDemoAlignerName, options);
}

std::shared_ptr<const Aligner> open_aligner(const TranscribeArguments& arguments) {
  EngineOptions options = engine_options(arguments);
  options.kv_cache = KvCacheFormat::kAuto;
  const bool is_demo = arguments.model_dir.empty() || arguments.model_dir == kDemoModelName;
  if (arguments.aligner.empty() && is_demo) {
    return open_built_in_aligner(options);
  }
  return Aligner::open(resolve_model(arguments.aligner.empty() ? "aligner" : arguments.aligner), options);
}

}  // namespace qasr::app
