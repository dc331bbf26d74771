// What an Engine holds. Members are declared in the order they depend on each other.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/placed_model.h"
#include "engine/scheduler.h"
#include "engine/scheduler_group.h"
#include "qasr/engine.h"
#include "weights/checkpoint_files.h"

namespace qasr {

/// One copy of the model on one device, and what shares it out.
struct EngineCopy : PlacedModel {
  std::unique_ptr<Scheduler> scheduler;  // what is transcribed here; its own state changes, behind locks
};

struct Engine::Impl {
  EngineOptions options;
  ModelInfo info;
  mutable SchedulerGroup schedulers;  // where requests come in
  std::vector<EngineCopy> copies;     // at least one
  Backend* backend = nullptr;         // of the first copy
  const Model* model = nullptr;       // of the first copy: configuration and tokenizer are equal in all

  /// Places a copy of the checkpoint on every backend.
  static std::shared_ptr<const Engine> open(const CheckpointFiles& files, const EngineOptions& options,
                                            std::vector<std::unique_ptr<Backend>> backends);

  /// One line to the caller's log, if there is one.
  void log(std::string_view line) const {
    if (options.log) options.log(line);
  }
};

}  // namespace qasr
