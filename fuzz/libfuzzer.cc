// libFuzzer's entry for one target (QASR_FUZZ_TARGET, set by CMake).
#include <cstdint>

#include "targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  qasr::fuzz::QASR_FUZZ_TARGET(std::as_bytes(std::span(data, size)));
  return 0;
}
