// Values that options of several subcommands take: checks for CLI11, and texts that may be in a file.
#pragma once

#include <string>

namespace qasr::app {

/// Why this is no language, format; "" if it is one.
std::string check_language(const std::string& name);
std::string check_format(const std::string& name);

/// TEXT, or the contents of FILE for "@FILE".
/// @param option  for messages: "--context"
/// @throws Error kInvalidArgument  the file cannot be read, or is no UTF-8
std::string text_argument(const std::string& option, const std::string& argument);

}  // namespace qasr::app
