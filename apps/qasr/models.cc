// `qasr models`: what is downloaded; removal.
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "download.h"
#include "model_cache.h"
#include "output.h"
#include "qasr/error.h"

namespace qasr::app {
namespace {

std::string table(const std::vector<CachedModel>& models) {
  std::string text;
  for (const CachedModel& model : models) {
    char line[64];
    std::snprintf(line, sizeof line, "%10.2f MB  ", static_cast<double>(model.bytes) / 1e6);
    text += line + model.repository + (model.is_complete ? "" : " (incomplete: qasr download goes on)") + "  " +
            model.directory.string() + "\n";
  }
  return text.empty() ? "no models in " + models_directory().string() + "; qasr download 0.6b fetches one\n" : text;
}

std::string json_text(const std::vector<CachedModel>& models) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const CachedModel& model : models) {
    list.push_back({{"repository", model.repository},
                    {"revision", model.revision},
                    {"bytes", model.bytes},
                    {"complete", model.is_complete},
                    {"path", model.directory.string()}});
  }
  return list.dump(2) + "\n";
}

void remove_model(const std::string& name) {
  const std::string repository = repository_of(name);
  bool found = false;
  for (const CachedModel& model : cached_models()) {
    if (model.repository != repository) continue;
    std::error_code error;
    std::filesystem::remove_all(model.directory, error);
    if (error) throw Error(ErrorCode::kModel, "cannot remove " + model.directory.string() + ": " + error.message());
    found = true;
  }
  if (!found) throw Error(ErrorCode::kModel, "no model " + name + " in " + models_directory().string());
}

}  // namespace

CLI::App* add_models(CLI::App& app, ModelsArguments& arguments) {
  CLI::App* command = app.add_subcommand("models", "List downloaded models, or remove one");
  command->add_option("--remove", arguments.remove, "Delete this model's files")->type_name("NAME");
  command->add_flag("--json", arguments.json, "Print JSON");
  return command;
}

ExitCode run_models(const ModelsArguments& arguments) {
  if (!arguments.remove.empty()) {
    remove_model(arguments.remove);
    return kExitOk;
  }
  const std::vector<CachedModel> models = cached_models();
  print(arguments.json ? json_text(models) : table(models));
  return kExitOk;
}

}  // namespace qasr::app
