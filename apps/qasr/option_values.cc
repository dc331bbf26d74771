#include "option_values.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string_view>

#include "qasr/error.h"
#include "qasr/formats.h"
#include "qasr/languages.h"

namespace qasr::app {

std::string check_language(const std::string& name) {
  if (name == "auto" || find_language(name)) return {};
  std::string message = "unknown language '" + name + "', expected auto or one of";
  for (const Language& language : languages()) {
    message += " " + std::string(language.name) + " (" + std::string(language.code) + ")";
  }
  return message;
}

std::string check_format(const std::string& name) {
  if (find_output_format(name)) return {};
  std::string message = "unknown format '" + name + "', expected";
  for (std::string_view known : output_format_names()) message += " " + std::string(known);
  return message;
}

std::string text_argument(const std::string& option, const std::string& argument) {
  std::string text = argument;
  if (argument.starts_with('@')) {
    const std::string path = argument.substr(1);
    std::ifstream file(path, std::ios::binary);
    text.assign(std::istreambuf_iterator<char>(file), {});
    if (!file) throw Error(ErrorCode::kInvalidArgument, option + ": cannot read " + path + ": " + std::strerror(errno));
  }
  if (!is_complete(text + "\n", OutputFormat::kText))
    throw Error(ErrorCode::kInvalidArgument, option + ": found bytes that are not UTF-8, expected UTF-8 text");
  return text;
}

}  // namespace qasr::app
