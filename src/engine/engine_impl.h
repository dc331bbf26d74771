// What an Engine holds. Members are declared in the order they depend on each other.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "backend/backend.h"
#include "engine/packed_cache.h"
#include "engine/scheduler.h"
#include "model/model.h"
#include "qasr/engine.h"
#include "weights/checkpoint_files.h"

namespace qasr {

struct Engine::Impl {
  EngineOptions options;
  ModelInfo info;
  std::unique_ptr<PackedCache> packed_cache;  // the backend's weights may lie in its file; null without one
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Model> model;
  std::unique_ptr<Scheduler> scheduler;  // all that is transcribed; its own state changes, behind locks

  /// One line to the caller's log, if there is one.
  void log(std::string_view line) const {
    if (options.log) options.log(line);
  }
};

}  // namespace qasr
