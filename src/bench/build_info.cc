// The three strings come from CMakeLists.txt of this folder.
#include "bench/build_info.h"

namespace qasr::bench {

BuildInfo build_info() { return {QASR_BUILD_COMMIT, QASR_BUILD_TYPE, QASR_BUILD_COMPILER}; }

}  // namespace qasr::bench
