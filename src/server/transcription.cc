#include "server/transcription.h"

#include <algorithm>
#include <exception>
#include <new>
#include <nlohmann/json.hpp>
#include <utility>

#include "server/transcription_json.h"

namespace qasr::server {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::ordered_json;

constexpr const char* kUnnamed = "the recording";

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

bool cuts_subtitles(ResponseFormat format) { return format == ResponseFormat::kSrt || format == ResponseFormat::kVtt; }

ApiError too_long(double max_audio_s) {
  return ApiError(400,
                  "the recording is longer than " + std::to_string(static_cast<long long>(max_audio_s)) +
                      " s, which is the limit of this server (--max-audio)",
                  "file", "audio_too_long");
}

}  // namespace

Response event_stream_head() {
  return {.content_type = "text/event-stream; charset=utf-8",
          .headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}}};
}

std::string server_sent_event(const std::string& json) { return "data: " + json + "\n\n"; }

Transcription::Transcription(TranscriptionJob job) : job_(std::move(job)) {}

void Transcription::refuse(const ApiError& reason) { fail(reason); }

void Transcription::cancel(const ApiError& reason) {
  const MutexLock lock(mutex_);
  if (!cancelled_) cancelled_ = reason;
  if (request_ != nullptr) request_->cancel();
}

std::optional<ApiError> Transcription::cancelled() const {
  const MutexLock lock(mutex_);
  return cancelled_;
}

void Transcription::run() {
  report_.queue_s = seconds_since(accepted_);
  try {
    const Transcript transcript = transcribe();
    report_.timings = transcript.timings;
    report_.first_text_s = first_text_s_;
    report_.total_s = seconds_since(accepted_);
    if (job_.params.stream) {
      send_done(transcript);
    } else {
      job_.exchange->respond(transcription_response(transcript, job_.params));
    }
    job_.on_done(report_);
  } catch (const ApiError& error) {
    fail(error);
  } catch (const Error& error) {
    fail(api_error(error));
  } catch (const std::bad_alloc&) {
    fail(api_error(Error(ErrorCode::kOutOfMemory, "not enough memory for this request")));
  } catch (const std::exception& error) {
    fail(ApiError(500, error.what(), {}, "internal_error"));
  }
}

Transcript Transcription::transcribe() {
  if (const auto reason = cancelled()) throw *reason;
  const std::string name = job_.form.filename.empty() ? kUnnamed : job_.form.filename;
  AudioStreamOptions audio;
  audio.max_duration_s = job_.max_audio_s + 1;
  AudioStream stream(job_.form.file->bytes(), name, audio);
  if (stream.expected_s() > job_.max_audio_s) throw too_long(job_.max_audio_s);

  SpeechSegmenter segmenter(job_.segmentation);
  std::vector<double> speech_s;
  Request request(job_.engine, request_options());
  {
    const MutexLock lock(mutex_);
    request_ = &request;
    if (cancelled_) request.cancel();
  }
  Transcript transcript;
  try {
    read_and_push(stream, segmenter, speech_s);
    transcript = request.wait();
  } catch (...) {
    const MutexLock lock(mutex_);
    request_ = nullptr;
    throw;
  }
  {
    const MutexLock lock(mutex_);
    request_ = nullptr;
  }
  if (const auto reason = cancelled()) throw *reason;
  for (std::size_t n = 0; n < std::min(speech_s.size(), transcript.segments.size()); ++n) {
    transcript.segments[n].speech_s = speech_s[n];
  }
  transcript.duration_s = stream.position_s();
  if (job_.on_audio) job_.on_audio(transcript.duration_s);
  return transcript;
}

RequestOptions Transcription::request_options() {
  const TranscriptionParams& params = job_.params;
  RequestOptions options;
  options.transcribe.language = params.language;
  options.transcribe.context = params.prompt;
  options.transcribe.hotwords = params.keywords;
  options.transcribe.sampling.temperature = params.temperature;
  if (params.words || cuts_subtitles(params.format)) options.transcribe.aligner = job_.aligner;
  options.keep_tokens = params.logprobs || params.format == ResponseFormat::kVerboseJson;
  options.max_waiting_segments = 2;
  options.on_text = [this](const TextUpdate& update) { on_text(update); };
  options.on_segment = [this](std::size_t index, const Segment& segment) { on_segment(index, segment); };
  return options;
}

void Transcription::read_and_push(AudioStream& stream, SpeechSegmenter& segmenter, std::vector<double>& speech_s) {
  std::vector<std::vector<float>> lanes;
  std::vector<SpeechSegment> segments;
  for (bool more = true; more;) {
    more = stream.read(lanes);
    report_.audio_s = stream.position_s();
    if (report_.audio_s > job_.max_audio_s) throw too_long(job_.max_audio_s);
    if (more) {
      segmenter.push(lanes[0], segments);
    } else {
      segmenter.finish(segments);
    }
    if (cancelled() || !push(segments, speech_s)) return;
  }
}

bool Transcription::push(std::vector<SpeechSegment>& segments, std::vector<double>& speech_s) {
  for (SpeechSegment& segment : segments) {
    speech_s.push_back(segment.speech_s);
    Request* request = nullptr;
    {
      const MutexLock lock(mutex_);
      request = request_;
    }
    if (!request->push_segment(std::move(segment.samples), segment.start_s)) return false;
  }
  segments.clear();
  return true;
}

void Transcription::on_text(const TextUpdate& update) {
  if (first_text_s_ < 0 && !update.piece.empty()) first_text_s_ = seconds_since(accepted_);
  // Log-probabilities are known when the segment is complete.
  if (job_.params.stream && !job_.params.logprobs) send_delta(deltas_.update(update), nullptr);
}

void Transcription::on_segment(std::size_t index, const Segment& segment) {
  if (job_.params.stream) send_delta(deltas_.end_segment(index, segment.text), &segment);
}

void Transcription::send_delta(const std::string& delta, const Segment* segment) {
  if (delta.empty()) return;
  ordered_json json = {{"type", "transcript.text.delta"}, {"delta", delta}};
  if (job_.params.logprobs && segment != nullptr) json["logprobs"] = logprobs_json(segment->tokens);
  send_event(json_text(json));
}

void Transcription::send_event(const std::string& json) {
  if (!stream_begun_) job_.exchange->begin(event_stream_head());
  stream_begun_ = true;
  job_.exchange->write(server_sent_event(json));
}

void Transcription::send_done(const Transcript& transcript) {
  ordered_json json = {{"type", "transcript.text.done"}, {"text", deltas_.text()}};
  const ordered_json languages = languages_json(transcript);
  if (!languages.empty()) json["languages"] = languages;
  if (job_.params.logprobs) {
    ordered_json all = ordered_json::array();
    for (const Segment& segment : transcript.segments) {
      for (ordered_json& entry : logprobs_json(segment.tokens)) all.push_back(std::move(entry));
    }
    json["logprobs"] = std::move(all);
  }
  json["usage"] = token_usage(transcript.timings);
  send_event(json_text(json));
  job_.exchange->write("data: [DONE]\n\n");
  job_.exchange->end();
}

void Transcription::fail(const ApiError& error) {
  report_.status = error.status();
  report_.first_text_s = first_text_s_;
  report_.total_s = seconds_since(accepted_);
  if (error.status() != kClientGone) {
    if (stream_begun_) {
      job_.exchange->write(server_sent_event(error_body(error)));
      job_.exchange->end();
    } else {
      job_.exchange->respond(error_response(error));
    }
  }
  job_.on_done(report_);
}

}  // namespace qasr::server
