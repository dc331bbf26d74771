// What a model hub has of a repository, and its files, over the API of Hugging Face that mirrors share.
//
//   GET ENDPOINT/api/models/OWNER/NAME/revision/REVISION?blobs=true   names, sizes and SHA-256 of the files
//   GET ENDPOINT/OWNER/NAME/resolve/REVISION/FILE                     a file, usually by redirect; ranges work
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "http.h"

namespace qasr::app {

/// @throws Error kModel  always
[[noreturn]] void download_error(const std::string& message);

struct HubFile {
  std::string name;
  std::uint64_t bytes = 0;
  std::string sha256;  ///< "" for small files, of which the hub says none
};

struct HubModel {
  std::string repository, revision;  ///< revision: a commit, whatever was asked for
  std::vector<HubFile> files;
};

struct HubOptions {
  std::string endpoint, token, revision = "main";
  int stall_timeout_s = 30, n_tries = 6;
  std::function<void(const std::string&)> log{};
};

/// Calls `attempt` until it succeeds or its failure is final; waits in between (Retry-After, else 0.5, 1, 2 ... 30 s).
/// An attempt that made progress starts the count anew.
/// @param attempt  returns the result of a request and whether any byte arrived
/// @throws Error kModel  what failed, and what to do about it
struct Attempt {
  HttpResult result;
  bool made_progress = false;
};
void with_retries(const HubOptions& options, const std::string& what, const std::function<Attempt()>& attempt);

/// @throws Error kModel  the hub does not know it, wants a token, cannot be reached, or answers nonsense
HubModel list_model(const std::string& repository, const HubOptions& options);

/// The files of a repository that a checkpoint needs. `wanted` names some instead.
/// @throws Error kModel  no weights, or several GGUF files to choose from: the message lists them
std::vector<HubFile> needed_files(const HubModel& model, const std::vector<std::string>& wanted);

}  // namespace qasr::app
