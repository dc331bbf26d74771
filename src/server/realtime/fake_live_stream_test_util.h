// A live stream that writes down what is asked of it; the test sends its events.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/realtime/live_stream.h"

namespace qasr::server {

struct FakeStreamLog {
  StreamOptions options;
  std::vector<std::string> calls;   ///< "push 100", "flush", ...
  std::size_t capacity = SIZE_MAX;  ///< samples that are taken from now on
};

class FakeLiveStream final : public LiveStream {
 public:
  explicit FakeLiveStream(std::shared_ptr<FakeStreamLog> log) : log_(std::move(log)) {}
  ~FakeLiveStream() override { log_->calls.push_back("destroyed"); }
  std::size_t try_push(std::span<const float> samples) override {
    const std::size_t n = std::min(samples.size(), log_->capacity);
    log_->capacity -= n;
    if (n > 0) log_->calls.push_back("push " + std::to_string(n));
    return n;
  }
  void flush() override { log_->calls.push_back("flush"); }
  void reset() override { log_->calls.push_back("reset"); }
  void close() override { log_->calls.push_back("close"); }
  void cancel() override { log_->calls.push_back("cancel"); }
  StreamProgress progress() const override { return {}; }

 private:
  std::shared_ptr<FakeStreamLog> log_;
};

/// Runs what is posted at once; keeps what is sent.
class FakeSocket final : public Socket {
 public:
  void send(std::string message) override { sent.push_back(std::move(message)); }
  void close(int code, std::string) override { close_code = code; }
  void post(std::function<void()> task) override { task(); }
  std::vector<std::string> sent;
  int close_code = 0;
};

}  // namespace qasr::server
