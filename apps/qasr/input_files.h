// Which recordings the arguments of `qasr transcribe` name: files, patterns, folders, lists.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace qasr::app {

inline constexpr const char* kStandardInput = "-";

struct InputFile {
  std::string path;            ///< as it is opened and named in messages; "-" is standard input
  std::filesystem::path name;  ///< below an output folder, extension included: relative to the folder it was found in
};

struct InputList {
  std::vector<InputFile> files;
  std::vector<std::string> problems;  ///< folders that could not be read, patterns that match nothing
  int n_ignored = 0;                  ///< files in folders that have no extension of a media file
};

struct InputArguments {
  std::vector<std::string> paths;
  std::string files_from;  ///< a list, one path a line (or separated by NUL); "-" is standard input; empty: none
  bool recursive = false;
};

/// In the order of the arguments, folders sorted by name. A path that does not exist stays in the list, so that it
/// fails like any other bad file; one with * ? or [ is a pattern then.
/// @throws Error kInvalidArgument  standard input is wanted twice, nothing is named; kInput  the list cannot be read
InputList find_input_files(const InputArguments& arguments);

}  // namespace qasr::app
