// The version of project() in CMakeLists.txt, the only place that states it.
#include "qasr/version.h"

namespace qasr {

const char* version() noexcept { return QASR_VERSION; }

}  // namespace qasr
