#include "server/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <cstdio>

namespace qasr::server {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;

const Histogram::BucketBoundaries kSeconds = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300};

double resident_bytes() {
  long n_pages = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%*s %ld", &n_pages) != 1) n_pages = 0;
    std::fclose(file);
  }
  return static_cast<double>(n_pages) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

struct Metrics::Impl {
  Family<Counter>& counter(const std::string& name, const std::string& help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  }
  Family<Gauge>& gauge(const std::string& name, const std::string& help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
  }
  Histogram& histogram(const std::string& name, const std::string& help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add({}, kSeconds);
  }
  void add_timings(const Timings& timings) {
    stage_seconds.Add({{"stage", "preprocessing"}}).Increment(timings.preprocessing_ms / 1000);
    stage_seconds.Add({{"stage", "audio_encoding"}}).Increment(timings.audio_encoding_ms / 1000);
    stage_seconds.Add({{"stage", "prefill"}}).Increment(timings.prefill_ms / 1000);
    stage_seconds.Add({{"stage", "decoding"}}).Increment((timings.text_generation_ms - timings.prefill_ms) / 1000);
    tokens.Add({{"kind", "audio"}}).Increment(timings.n_audio_tokens);
    tokens.Add({{"kind", "prompt"}}).Increment(timings.n_prompt_tokens - timings.n_audio_tokens);
    tokens.Add({{"kind", "generated"}}).Increment(timings.n_generated_tokens);
  }

  prometheus::Registry registry;
  Family<Counter>& requests = counter("qasr_http_requests_total", "Answered HTTP requests by route and status");
  Family<Counter>& errors = counter("qasr_errors_total", "Errors by kind: the code of the API, or the status");
  Family<Counter>& audio_seconds = counter("qasr_audio_seconds_total", "Seconds of audio transcribed");
  Family<Counter>& stage_seconds = counter("qasr_stage_seconds_total", "Seconds computed by stage");
  Family<Counter>& tokens = counter("qasr_tokens_total", "Tokens by kind");
  Histogram& request_seconds = histogram("qasr_transcription_seconds", "From the end of an upload to its answer");
  Histogram& queue_seconds = histogram("qasr_queue_seconds", "From the end of an upload to its begin");
  Histogram& first_text_seconds = histogram("qasr_first_text_seconds", "From the end of an upload to its first text");
  Histogram& live_first_seconds =
      histogram("qasr_live_first_text_seconds", "From the first audio of an utterance to text");
  Histogram& commit_seconds = histogram("qasr_live_commit_delay_seconds", "From live audio to its committed text");
  Gauge& connections = gauge("qasr_connections", "Open connections").Add({});
  Gauge& running = gauge("qasr_transcriptions_running", "Uploads being transcribed").Add({});
  Gauge& waiting = gauge("qasr_transcriptions_waiting", "Uploads that wait for a worker").Add({});
  Gauge& realtime = gauge("qasr_realtime_sessions", "Open Realtime sessions").Add({});
  Gauge& memory = gauge("qasr_resident_memory_bytes", "Resident memory of the process").Add({});
  Family<Gauge>& batch = gauge("qasr_batch_sequences", "Sequences that are encoded or decoded together now");
  Family<Gauge>& segments = gauge("qasr_segments_waiting", "Segments under way that wait for room in the batch");
  Family<Gauge>& requests_open = gauge("qasr_engine_requests", "Recordings and live streams the engine works for");
  Family<Gauge>& kv_used = gauge("qasr_kv_pages_used", "Pages of the KV cache in use");
  Family<Gauge>& kv_total = gauge("qasr_kv_pages", "Pages of the KV cache");
  Family<Gauge>& steps = gauge("qasr_decode_steps", "Decode steps since the start");
  Family<Gauge>& rows = gauge("qasr_decode_rows", "Sequences summed over all decode steps since the start");
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

void Metrics::count_request(std::string_view route, int status) {
  impl_->requests.Add({{"route", std::string(route)}, {"status", std::to_string(status)}}).Increment();
}

void Metrics::count_error(std::string_view kind) { impl_->errors.Add({{"kind", std::string(kind)}}).Increment(); }

void Metrics::add_transcription(const TranscriptionReport& report) {
  impl_->audio_seconds.Add({{"source", "upload"}}).Increment(report.audio_s);
  impl_->add_timings(report.timings);
  impl_->request_seconds.Observe(report.total_s);
  impl_->queue_seconds.Observe(report.queue_s);
  if (report.first_text_s >= 0) impl_->first_text_seconds.Observe(report.first_text_s);
}

void Metrics::add_live_audio(double audio_s, const Timings& timings) {
  impl_->audio_seconds.Add({{"source", "live"}}).Increment(audio_s);
  impl_->add_timings(timings);
}

void Metrics::observe_commit_delay(double seconds) { impl_->commit_seconds.Observe(seconds); }
void Metrics::observe_first_live_text(double seconds) { impl_->live_first_seconds.Observe(seconds); }

void Metrics::set_gauges(const Gauges& gauges) {
  impl_->connections.Set(gauges.n_connections);
  impl_->running.Set(static_cast<double>(gauges.n_running));
  impl_->waiting.Set(static_cast<double>(gauges.n_waiting));
  impl_->realtime.Set(gauges.n_realtime);
  impl_->memory.Set(resident_bytes());
}

void Metrics::set_engine(const std::string& model, const EngineLoad& load) {
  const prometheus::Labels labels = {{"model", model}};
  impl_->batch.Add(labels).Set(load.n_sequences);
  impl_->segments.Add(labels).Set(load.n_waiting);
  impl_->requests_open.Add(labels).Set(load.n_requests);
  impl_->kv_used.Add(labels).Set(load.n_kv_pages_used);
  impl_->kv_total.Add(labels).Set(load.n_kv_pages);
  impl_->steps.Add(labels).Set(static_cast<double>(load.n_decode_steps));
  impl_->rows.Add(labels).Set(static_cast<double>(load.n_decode_rows));
}

std::string Metrics::text() const { return prometheus::TextSerializer().Serialize(impl_->registry.Collect()); }

}  // namespace qasr::server
