#include "server/realtime/live_stream.h"

#include <utility>

namespace qasr::server {
namespace {

class EngineStream final : public LiveStream {
 public:
  EngineStream(std::shared_ptr<const Engine> engine, StreamOptions options)
      : stream_(std::move(engine), std::move(options)) {}
  std::size_t try_push(std::span<const float> samples) override { return stream_.try_push(samples); }
  void flush() override { stream_.flush(); }
  void reset() override { stream_.reset(); }
  void close() override { stream_.close(); }
  void cancel() override { stream_.cancel(); }
  StreamProgress progress() const override { return stream_.progress(); }

 private:
  Stream stream_;
};

}  // namespace

std::unique_ptr<LiveStream> open_live_stream(std::shared_ptr<const Engine> engine, StreamOptions options) {
  return std::make_unique<EngineStream>(std::move(engine), std::move(options));
}

}  // namespace qasr::server
