#include "input_files.h"

#include <glob.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string_view>

#include "qasr/error.h"

namespace qasr::app {
namespace {

namespace fs = std::filesystem;

// What folders are searched for; a file that is named itself may have any name.
constexpr auto kMediaExtensions = std::to_array<std::string_view>(
    {"3g2",  "3gp",  "aac", "ac3",  "aif", "aiff", "amr",  "ape", "asf", "au",   "avi", "caf", "dts",
     "eac3", "flac", "flv", "m2ts", "m4a", "m4b",  "m4v",  "mka", "mkv", "mov",  "mp2", "mp3", "mp4",
     "mpc",  "mpeg", "mpg", "mts",  "mxf", "nut",  "oga",  "ogg", "ogv", "opus", "rm",  "sph", "spx",
     "tak",  "ts",   "tta", "voc",  "w64", "wav",  "webm", "wma", "wmv", "wv"});

bool is_media_name(const fs::path& path) {
  std::string extension = path.extension().string();
  if (extension.size() < 2) return false;
  extension.erase(0, 1);
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::find(kMediaExtensions.begin(), kMediaExtensions.end(), extension) != kMediaExtensions.end();
}

bool is_pattern(const std::string& path) { return path.find_first_of("*?[") != std::string::npos; }

std::vector<std::string> lines_of(const std::string& text) {
  const char separator = text.find('\0') != std::string::npos ? '\0' : '\n';
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    std::string line = text.substr(begin, end - begin);
    if (separator == '\n' && line.ends_with('\r')) line.pop_back();
    if (!line.empty()) lines.push_back(std::move(line));
    begin = end + 1;
  }
  return lines;
}

std::vector<std::string> read_list(const std::string& name) {
  if (name == kStandardInput) return lines_of(std::string(std::istreambuf_iterator<char>(std::cin), {}));
  std::ifstream file(name, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (!file) throw Error(ErrorCode::kInput, "--files-from: cannot read " + name + ": " + std::strerror(errno));
  return lines_of(text);
}

void add_folder(const fs::path& folder, InputList& list) {
  std::error_code error;
  std::vector<fs::path> found;
  fs::recursive_directory_iterator entry(folder, error), end;
  while (!error && entry != end) {
    std::error_code unknown;
    if (entry->is_regular_file(unknown)) {
      if (is_media_name(entry->path())) {
        found.push_back(entry->path());
      } else {
        ++list.n_ignored;
      }
    }
    entry.increment(error);
  }
  if (error) list.problems.push_back(folder.string() + ": " + error.message());
  std::sort(found.begin(), found.end());
  for (const fs::path& path : found) list.files.push_back({path.string(), path.lexically_relative(folder)});
}

void add_pattern(const std::string& pattern, InputList& list) {
  glob_t matches = {};
  if (::glob(pattern.c_str(), 0, nullptr, &matches) == 0) {
    for (std::size_t n = 0; n < matches.gl_pathc; ++n) {
      const fs::path path = matches.gl_pathv[n];
      std::error_code error;
      if (!fs::is_directory(path, error)) list.files.push_back({path.string(), path.filename()});
    }
  } else {
    list.problems.push_back(pattern + ": no file matches");
  }
  ::globfree(&matches);
}

void add_path(const std::string& argument, bool recursive, InputList& list) {
  std::error_code error;
  if (argument == kStandardInput) {
    list.files.push_back({argument, "stdin"});
  } else if (recursive && fs::is_directory(argument, error)) {
    add_folder(argument, list);
  } else if (!fs::exists(argument, error) && is_pattern(argument)) {
    add_pattern(argument, list);
  } else {
    list.files.push_back({argument, fs::path(argument).filename()});
  }
}

}  // namespace

InputList find_input_files(const InputArguments& arguments) {
  const auto reads_stdin = std::count(arguments.paths.begin(), arguments.paths.end(), kStandardInput) +
                           (arguments.files_from == kStandardInput ? 1 : 0);
  if (reads_stdin > 1) throw Error(ErrorCode::kInvalidArgument, "standard input (-) can be read once only");
  InputList list;
  for (const std::string& path : arguments.paths) add_path(path, arguments.recursive, list);
  if (!arguments.files_from.empty()) {
    for (const std::string& path : read_list(arguments.files_from)) add_path(path, arguments.recursive, list);
  }
  if (arguments.paths.empty() && arguments.files_from.empty()) {
    if (::isatty(STDIN_FILENO) != 0) {
      throw Error(ErrorCode::kInvalidArgument, "no files given (and standard input is a terminal); see --help");
    }
    add_path(kStandardInput, false, list);
  }
  return list;
}

}  // namespace qasr::app
