#pragma once

#include "qasr/export.h"

namespace qasr {

/// "0.1.0": the version of the library that is linked.
QASR_API const char* version() noexcept;

}  // namespace qasr
