// What this program was built from: for published measurements.
#pragma once

namespace qasr::bench {

struct BuildInfo {
  const char* commit;    ///< abbreviated; "unknown" outside a git checkout
  const char* type;      ///< "Release"
  const char* compiler;  ///< "GNU 12.2.0"
};

BuildInfo build_info();

}  // namespace qasr::bench
