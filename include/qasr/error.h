// The one exception type of the library.
#pragma once

#include <stdexcept>
#include <string>

#include "qasr/export.h"

namespace qasr {

/// Why an operation failed. The command line maps these to its exit codes (docs in apps/qasr/main.cc).
enum class ErrorCode {
  kInvalidArgument = 1,  ///< an option or argument is outside its documented range
  kInput,                ///< the audio: missing, unreadable, no audio stream, longer than the context allows
  kModel,                ///< the checkpoint: missing file, broken JSON, tensor missing or of the wrong shape
  kOutOfMemory,          ///< an allocation failed or a configured limit was reached
  kDevice,               ///< the compute backend: unknown instruction set, launch failure
  kInternal,             ///< a broken invariant inside qasr: please report it
};

/// Everything that can fail because of the world throws this. `what()` reads
/// "operation: what was found, what was expected, where".
class QASR_API Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace qasr
