// LiveStream: what a Realtime session needs of qasr::Stream; tests have one of their own.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>

#include "qasr/stream.h"

namespace qasr::server {

class LiveStream {
 public:
  virtual ~LiveStream() = default;
  virtual std::size_t try_push(std::span<const float> samples) = 0;
  virtual void flush() = 0;
  virtual void reset() = 0;
  virtual void close() = 0;
  virtual void cancel() = 0;
  virtual StreamProgress progress() const = 0;
};

/// @throws Error  as the constructor of qasr::Stream
using LiveStreamFactory =
    std::function<std::unique_ptr<LiveStream>(std::shared_ptr<const Engine> engine, StreamOptions options)>;

/// The one over the engine.
std::unique_ptr<LiveStream> open_live_stream(std::shared_ptr<const Engine> engine, StreamOptions options);

}  // namespace qasr::server
