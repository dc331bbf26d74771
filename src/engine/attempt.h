// Running what may fail where no exception may leave: on the scheduler's thread.
#pragma once

#include <exception>
#include <new>
#include <optional>
#include <string>

#include "qasr/error.h"

namespace qasr {

/// Calls fn; what it throws comes back as an Error.
template <typename Fn>
std::optional<Error> attempt(const char* what, Fn&& fn) {
  try {
    fn();
    return std::nullopt;
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return Error(ErrorCode::kOutOfMemory, std::string(what) + ": out of memory");
  } catch (const std::exception& error) {
    return Error(ErrorCode::kInternal, std::string(what) + ": " + error.what());
  } catch (...) {
    return Error(ErrorCode::kInternal, std::string(what) + ": something that is no exception of the standard library");
  }
}

}  // namespace qasr
