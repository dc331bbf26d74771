// The wording of everything that can be wrong with a recording.
#pragma once

#include <string>

#include "qasr/error.h"

namespace qasr {

/// Throws Error(kInput): "audio: FOUND, expected EXPECTED, in NAME".
[[noreturn]] inline void throw_input_error(const std::string& name, const std::string& found,
                                           const std::string& expected) {
  throw Error(ErrorCode::kInput, "audio: found " + found + ", expected " + expected + ", in " + name);
}

}  // namespace qasr
