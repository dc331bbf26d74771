// What is thrown for an option or argument that cannot be honoured.
#pragma once

#include <string>

#include "qasr/error.h"

namespace qasr {

[[noreturn]] inline void bad_argument(const std::string& message) {
  throw Error(ErrorCode::kInvalidArgument, message);
}

}  // namespace qasr
