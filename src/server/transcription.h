// Transcription: one upload on its way to an answer, on a worker's thread: decode, cut, push segments to a Request,
// send the response or its pieces.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "base/mutex.h"
#include "qasr/audio.h"
#include "qasr/engine.h"
#include "qasr/request.h"
#include "qasr/segmentation.h"
#include "server/api_error.h"
#include "server/exchange.h"
#include "server/form.h"
#include "server/text_deltas.h"
#include "server/transcription_params.h"

namespace qasr::server {

/// What there is to know of a transcription when it has ended: for the log, metrics and quotas.
struct TranscriptionReport {
  int status = 200;          ///< that was sent; 499: the client went away
  double audio_s = 0;        ///< read of the recording
  double queue_s = 0;        ///< between the upload's end and a worker
  double first_text_s = -1;  ///< between the upload's end and the first text; -1: there was none
  double total_s = 0;        ///< between the upload's end and the answer's
  Timings timings{};
};

struct TranscriptionJob {
  std::shared_ptr<const Engine> engine;
  std::shared_ptr<const Aligner> aligner;  ///< for params.words and for subtitles; null: none
  TranscriptionParams params;
  Form form;
  double max_audio_s = 0;
  SegmentationOptions segmentation{};
  std::shared_ptr<Exchange> exchange;
  std::chrono::steady_clock::time_point deadline{};
  std::function<void(const TranscriptionReport&)> on_done{};  ///< called once
  std::function<void(double audio_s)> on_audio{};             ///< how much was read, before the answer
};

class Transcription {
 public:
  explicit Transcription(TranscriptionJob job);

  /// Transcribes and answers. The worker's thread; never throws.
  void run();
  /// Ends it as soon as possible with this answer; any thread. Nothing happens if it has ended.
  void cancel(const ApiError& reason) QASR_EXCLUDES(mutex_);
  bool is_overdue() const { return std::chrono::steady_clock::now() > job_.deadline; }
  /// Answers without having run. Instead of run().
  void refuse(const ApiError& reason);

 private:
  Transcript transcribe();
  RequestOptions request_options();
  void read_and_push(AudioStream& stream, SpeechSegmenter& segmenter, std::vector<double>& speech_s);
  bool push(std::vector<SpeechSegment>& segments, std::vector<double>& speech_s);
  void on_text(const TextUpdate& update);
  void on_segment(std::size_t index, const Segment& segment);
  void send_delta(const std::string& delta, const Segment* segment);
  void send_event(const std::string& json);
  void send_done(const Transcript& transcript);
  void fail(const ApiError& error);
  std::optional<ApiError> cancelled() const QASR_EXCLUDES(mutex_);

  TranscriptionJob job_;
  TranscriptionReport report_;
  const std::chrono::steady_clock::time_point accepted_ = std::chrono::steady_clock::now();
  std::atomic<double> first_text_s_ = -1;

  // Set before the request runs, then the scheduler's thread only, and after its end the worker's.
  TextDeltas deltas_;
  bool stream_begun_ = false;

  mutable Mutex mutex_;
  Request* request_ QASR_GUARDED_BY(mutex_) = nullptr;
  std::optional<ApiError> cancelled_ QASR_GUARDED_BY(mutex_);
};

/// The response that begins a stream of server-sent events, and one event.
Response event_stream_head();
std::string server_sent_event(const std::string& json);

}  // namespace qasr::server
