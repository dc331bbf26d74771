// Metrics: what GET /metrics shows, kept by prometheus-cpp. All functions may be called from any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "server/transcription.h"

namespace qasr::server {

/// What is measured only when it is asked for.
struct Gauges {
  int n_connections = 0;
  std::size_t n_running = 0, n_waiting = 0;  ///< transcriptions
  int n_realtime = 0;                        ///< WebSocket sessions
};

class Metrics {
 public:
  Metrics();
  ~Metrics();

  void count_request(std::string_view route, int status);
  void count_error(std::string_view kind);
  void add_transcription(const TranscriptionReport& report);
  /// Live audio: how much, and what it cost.
  void add_live_audio(double audio_s, const Timings& timings);
  /// Between the end of a piece of live audio and its committed text.
  void observe_commit_delay(double seconds);
  void observe_first_live_text(double seconds);

  void set_gauges(const Gauges& gauges);
  /// The engine of a model, by its name.
  void set_engine(const std::string& model, const EngineLoad& load);
  /// Text format 0.0.4 of Prometheus.
  std::string text() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace qasr::server
