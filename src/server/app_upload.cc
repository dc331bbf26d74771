// The part of App that takes uploads: form -> TranscriptionJob -> worker.
#include <algorithm>
#include <utility>

#include "server/app.h"

namespace qasr::server {
namespace {

constexpr int kBusyRetryS = 5;
constexpr double kShortestTargetS = 1;

ApiError busy(const std::string& message) {
  ApiError error(429, message, {}, "server_busy");
  error.retry_after_s = kBusyRetryS;
  return error;
}

}  // namespace

/// The body of an upload: form parser, then a transcription.
class App::UploadSink final : public BodySink {
 public:
  UploadSink(App& app, const std::string& boundary, Context context)
      : app_(app),
        context_(std::move(context)),
        reader_({.max_file_bytes = app.options_.max_upload_bytes}),
        parser_(boundary, reader_),
        n_uploads_(app.n_uploads_) {
    ++*n_uploads_;
  }
  ~UploadSink() override { --*n_uploads_; }

  bool on_data(std::string_view data) override {
    return attempt([&] { parser_.feed(data); });
  }
  void on_end() override {
    attempt([&] {
      parser_.finish();
      app_.start(reader_.take(), context_);
    });
    context_.reset();
  }

 private:
  template <typename Task>
  bool attempt(const Task& task) {
    try {
      task();
      return true;
    } catch (const ApiError& error) {
      context_->respond(error_response(error));
    } catch (const Error& error) {
      context_->respond(error_response(api_error(error)));
    }
    return false;
  }

  App& app_;
  Context context_;
  FormReader reader_;
  MultipartParser parser_;
  std::shared_ptr<std::atomic<int>> n_uploads_;
};

std::unique_ptr<BodySink> App::accept_upload(const RequestHead& head, const Context& context) {
  if (draining_) throw shutting_down();
  const auto boundary = MultipartParser::boundary_of(head.header("Content-Type"));
  if (!boundary) {
    throw ApiError(415, "found Content-Type '" + std::string(head.header("Content-Type")) +
                            "', expected multipart/form-data with a boundary");
  }
  if (head.content_length.value_or(0) > options_.max_upload_bytes + FormLimits().max_fields_bytes) {
    throw ApiError(413,
                   "the request has " + std::to_string(*head.content_length) + " bytes; recordings may have " +
                       std::to_string(options_.max_upload_bytes) + " (--max-upload)",
                   "file", "file_too_large");
  }
  const std::size_t n_places = options_.max_queue + static_cast<std::size_t>(options_.n_workers);
  if (static_cast<std::size_t>(*n_unfinished_) >= n_places) throw busy("all workers are busy and the queue is full");
  if (static_cast<std::size_t>(*n_uploads_) >= 4 * n_places) throw busy("too many uploads at a time");
  return std::make_unique<UploadSink>(*this, *boundary, context);
}

void App::start(Form form, const Context& context) {
  if (draining_) throw shutting_down();
  TranscriptionParams params = parse_transcription_params(form.fields);
  const ServedModel& model = find_model(params.model);
  context->model = model.name;
  if (params.words && options_.aligner == nullptr) {
    throw ApiError(400, "word times need a forced aligner, which this server does not have (--aligner)",
                   "timestamp_granularities", "unsupported_value");
  }
  if (!form.file) throw ApiError(400, "you must provide a recording as a part named file", "file");
  if (form.file->size() == 0) throw ApiError(400, "the recording is empty", "file", "invalid_audio");

  int retry_after_s = 0;
  if (context->key && !quotas_->acquire(*context->key, now_s(), retry_after_s)) {
    ApiError error(429, "the quota of this API key is used up", {}, "rate_limit_exceeded");
    error.retry_after_s = retry_after_s;
    throw error;
  }
  SegmentationOptions segmentation;
  const double recommended_s = model.engine->info().recommended_max_segment_s;
  if (recommended_s > 0) segmentation.max_s = std::min(segmentation.max_s, recommended_s);
  if (params.max_pause_s) {  // a pause of that length ends a segment, long or short
    segmentation.max_pause_s = *params.max_pause_s;
    segmentation.target_s = std::max(segmentation.max_s, kShortestTargetS);
    segmentation.keep_short_whole = false;
  }
  ++*n_unfinished_;
  const auto on_done = [context, quotas = quotas_, metrics = metrics_, n = n_unfinished_,
                        now = now_s()](const TranscriptionReport& report) {
    if (context->key) {
      quotas->charge(*context->key, report.audio_s, now + report.total_s);
      quotas->release(context->key->name);
    }
    metrics->add_transcription(report);
    --*n;
  };
  const auto timeout = std::chrono::milliseconds(static_cast<std::int64_t>(options_.timeout_s * 1000));
  const auto transcription = std::make_shared<Transcription>(
      TranscriptionJob{.engine = model.engine,
                       .aligner = options_.aligner,
                       .params = std::move(params),
                       .form = std::move(form),
                       .max_audio_s = options_.max_audio_s,
                       .segmentation = segmentation,
                       .exchange = context,
                       .deadline = std::chrono::steady_clock::now() + timeout,
                       .on_done = on_done,
                       .on_audio = [context](double audio_s) { context->audio_s = audio_s; }});
  context->on_disconnect([weak = std::weak_ptr(transcription)] {
    if (const auto running = weak.lock()) running->cancel(ApiError(499, "the client went away"));
  });
  transcriptions_.push_back(transcription);
  if (!workers_->try_add([transcription] { transcription->run(); })) {
    transcription->refuse(busy("all workers are busy and the queue is full"));
  }
}

}  // namespace qasr::server
