// The program's exit codes and how failures map to them. Documented for users in `qasr --help`.
#pragma once

#include "qasr/error.h"

namespace qasr::app {

enum ExitCode : int {
  kExitOk = 0,
  kExitInternal = 1,       ///< a bug in qasr, or results could not be written to standard output
  kExitUsage = 2,          ///< unknown option, unknown language, value out of range
  kExitInput = 3,          ///< a recording is missing, unreadable, not audio, or longer than the context allows
  kExitModel = 4,          ///< the checkpoint is missing, damaged or of another kind
  kExitDevice = 5,         ///< the machine: unknown or unsupported instruction set, not enough memory
  kExitIncomplete = 6,     ///< --strict: something was cut off, looped, or could not be read to its end
  kExitInterrupted = 130,  ///< Ctrl-C; what was complete is kept
};

constexpr ExitCode exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return kExitUsage;
    case ErrorCode::kInput:
      return kExitInput;
    case ErrorCode::kModel:
      return kExitModel;
    case ErrorCode::kOutOfMemory:
    case ErrorCode::kDevice:
      return kExitDevice;
    case ErrorCode::kInternal:
      break;
  }
  return kExitInternal;
}

}  // namespace qasr::app
