#include "hub.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "qasr/error.h"

namespace qasr::app {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxAnswerBytes = 16 << 20;
constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 40;

// Nothing that could leave the directory or hide in it.
bool is_safe_name(const std::string& name) {
  const auto safe = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == '+';
  };
  return !name.empty() && name.size() <= 200 && name.front() != '.' && std::all_of(name.begin(), name.end(), safe);
}

bool is_final(long status) { return status >= 400 && status < 500 && status != 408 && status != 425 && status != 429; }

std::string explain(long status, const HubOptions& options) {
  const std::string has_token =
      options.token.empty() ? "no token was sent (HF_TOKEN)" : "the token of HF_TOKEN was refused";
  if (status == 401 || status == 403) {
    return ": not allowed, " + has_token + "; a gated model must be accepted on its page first";
  }
  if (status == 404) return ": not found; private models need HF_TOKEN";
  if (status == 429) return ": too many requests";
  return "";
}

std::uint64_t size_in(const json& object) {
  const auto size = object.find("size");
  return size != object.end() && size->is_number_unsigned() ? size->get<std::uint64_t>() : 0;
}

HubFile read_file(const json& entry) {
  HubFile file;
  file.name = entry.value("rfilename", "");
  file.bytes = size_in(entry);
  const auto lfs = entry.find("lfs");
  if (lfs != entry.end() && lfs->is_object()) {
    file.sha256 = lfs->value("sha256", lfs->value("oid", ""));
    if (file.sha256.starts_with("sha256:")) file.sha256.erase(0, 7);
    if (const std::uint64_t bytes = size_in(*lfs); bytes > 0) file.bytes = bytes;
  }
  return file;
}

HubModel read_answer(const std::string& repository, const std::string& text, const std::string& url) {
  const json answer = json::parse(text, nullptr, false);
  HubModel model{.repository = repository, .revision = {}, .files = {}};
  try {
    model.revision = answer.at("sha").get<std::string>();
    for (const json& entry : answer.at("siblings")) model.files.push_back(read_file(entry));
  } catch (const json::exception&) {
    download_error(url + " did not answer with the files of a model (an object with sha and siblings)");
  }
  if (!is_safe_name(model.revision)) download_error(url + " names the revision \"" + model.revision + "\", expected a commit");
  for (const HubFile& file : model.files) {
    const bool is_hash =
        file.sha256.empty() ||
        (file.sha256.size() == 64 && file.sha256.find_first_not_of("0123456789abcdef") == std::string::npos);
    if (file.bytes > kMaxFileBytes || !is_hash) download_error(url + " says nonsense about " + file.name);
  }
  return model;
}

bool is_side_file(const std::string& name) {
  return (name.ends_with(".json") && name != "model.safetensors.index.json") || name == "merges.txt" ||
         name == "chat_template.jinja";
}

}  // namespace

void download_error(const std::string& message) { throw Error(ErrorCode::kModel, "download: " + message); }

void with_retries(const HubOptions& options, const std::string& what, const std::function<Attempt()>& attempt) {
  for (int n_failed = 0;;) {
    const Attempt tried = attempt();
    const HttpResult& result = tried.result;
    const bool answered = result.status == 200 || result.status == 206;
    if (answered && result.failure.empty()) return;
    std::string reason = what + ": ";
    reason += !result.failure.empty()
                  ? result.failure
                  : "the server answered " + std::to_string(result.status) + explain(result.status, options);
    if (is_final(result.status) || result.is_lasting) download_error(reason);
    n_failed = tried.made_progress ? 1 : n_failed + 1;
    if (n_failed >= options.n_tries)
      download_error(reason + " (" + std::to_string(n_failed) + " tries; what is there stays for the next)");
    const double wait_s = result.retry_after_s >= 0 ? result.retry_after_s : std::min(30.0, 0.25 * (1 << n_failed));
    char seconds[16];
    std::snprintf(seconds, sizeof seconds, "%.3g", wait_s);
    if (options.log) options.log(reason + "; again in " + seconds + " s");
    std::this_thread::sleep_for(std::chrono::duration<double>(wait_s));
  }
}

HubModel list_model(const std::string& repository, const HubOptions& options) {
  const std::string url =
      options.endpoint + "/api/models/" + repository + "/revision/" + options.revision + "?blobs=true";
  std::string text;
  HttpClient client;
  with_retries(options, url, [&] {
    text.clear();
    Attempt attempt;
    attempt.result = client.get(
        {.url = url, .token = options.token, .stall_timeout_s = options.stall_timeout_s}, [](const HttpResult&) {},
        [&](std::span<const std::byte> bytes) {
          text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
          return text.size() <= kMaxAnswerBytes;
        });
    return attempt;
  });
  return read_answer(repository, text, url);
}

std::vector<HubFile> needed_files(const HubModel& model, const std::vector<std::string>& wanted) {
  std::vector<HubFile> files, weights, gguf;
  std::string index;
  for (const HubFile& file : model.files) {
    if (file.name.find('/') != std::string::npos && wanted.empty()) continue;  // folders hold no part of a checkpoint
    const bool is_wanted = std::find(wanted.begin(), wanted.end(), file.name) != wanted.end();
    const bool is_weight = file.name.ends_with(".safetensors") || file.name == "model.safetensors.index.json";
    if (!is_safe_name(file.name)) {
      if (is_wanted || is_weight) download_error(model.repository + " has a file named \"" + file.name + "\", refused");
      continue;
    }
    if (is_wanted || is_side_file(file.name)) files.push_back(file);
    if (is_weight) weights.push_back(file);
    if (file.name.ends_with(".gguf")) gguf.push_back(file);
  }
  for (const std::string& name : wanted) {
    const bool found = std::any_of(files.begin(), files.end(), [&](const HubFile& file) { return file.name == name; });
    if (!found) download_error(model.repository + " has no file " + name);
  }
  if (!wanted.empty()) return files;
  if (weights.empty() && gguf.size() > 2) {
    std::string names;
    for (const HubFile& file : gguf) names += "\n    --file " + file.name;
    download_error(model.repository +
         " has several GGUF files; choose the text model and its mmproj, or one whole model:" + names);
  }
  if (weights.empty()) weights = gguf;
  if (weights.empty()) download_error(model.repository + " has neither *.safetensors nor *.gguf files");
  files.insert(files.end(), weights.begin(), weights.end());
  return files;
}

}  // namespace qasr::app
