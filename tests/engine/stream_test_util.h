// What the tests of live streams share: a stream whose steps can be watched and paced, and what came out of it.
#pragma once

#include <cmath>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "engine/engine_test_util.h"
#include "engine/scheduler.h"
#include "engine/stream_state.h"
#include "qasr/stream.h"

namespace qasr::test {

/// Recordings of the demonstration model's samples folder, one after the other, with pauses of faint noise.
inline std::vector<float> joined_samples(std::size_t count, double pause_s) {
  std::vector<std::string> files;
  std::ifstream table(kDemoModel / "samples/references.tsv");
  std::string line;
  std::getline(table, line);  // column names
  while (std::getline(table, line)) files.push_back(line.substr(0, line.find('\t')));
  std::vector<float> all;
  std::uint32_t seed = 1;
  for (std::size_t index = 0; index < count; ++index) {
    const std::vector<float> samples = demo_sample(files.at(index % files.size()));
    all.insert(all.end(), samples.begin(), samples.end());
    for (std::size_t n = 0; n < static_cast<std::size_t>(pause_s * kSampleRate); ++n) {
      seed = seed * 1664525U + 1013904223U;
      all.push_back(1e-4F * static_cast<float>(static_cast<double>(seed >> 8) / 8388608.0 - 1));
    }
  }
  return all;
}

/// The events of a stream, checked as they come: what is committed never changes.
class Collected {
 public:
  void add(const StreamEvent& event) {
    using Kind = StreamEvent::Kind;
    ++n_events_;
    if (event.kind == Kind::kPartial) partial_ = event.text;
    if (event.kind == Kind::kCommitted) {
      text_ += event.separator + event.text;
      partial_.clear();  // what was shown before is void
      segment_text_ += event.text;
      ++n_commits_;
      commit_times_.emplace_back(text_.size(), event.end_s);
    }
    if (event.kind == Kind::kSegmentEnd) {
      if (event.result->text != segment_text_) problem_ += "a segment's text is not what was committed; ";
      if (event.segment != segments_.size()) problem_ += "segments are not numbered in order; ";
      segment_text_.clear();
      segments_.push_back(event.result);
    }
    if (event.kind == Kind::kEndpoint) endpoints_.push_back(event.end_s);
    if (event.kind == Kind::kFlushed) ++n_flushed_;
    if (event.kind == Kind::kError) error_ = event.error;
    if (event.kind == Kind::kEnd) {
      if (ended_) problem_ += "two ends; ";
      ended_ = true;
      status_ = event.status;
    }
  }
  const std::string& text() const { return text_; }
  const std::string& partial() const { return partial_; }
  const std::string& problem() const { return problem_; }
  const std::vector<std::shared_ptr<const Segment>>& segments() const { return segments_; }
  const std::vector<double>& endpoints() const { return endpoints_; }
  const std::vector<std::pair<std::size_t, double>>& commit_times() const { return commit_times_; }
  const std::optional<Error>& error() const { return error_; }
  bool ended() const { return ended_; }
  RequestStatus status() const { return status_; }
  int n_flushed() const { return n_flushed_; }
  int n_commits() const { return n_commits_; }
  int n_events() const { return n_events_; }

 private:
  std::string text_, partial_, segment_text_, problem_;
  std::vector<std::shared_ptr<const Segment>> segments_;
  std::vector<double> endpoints_;
  std::vector<std::pair<std::size_t, double>> commit_times_;  // bytes of text then, audio heard then
  std::optional<Error> error_;
  bool ended_ = false;
  RequestStatus status_{};
  int n_flushed_ = 0, n_commits_ = 0, n_events_ = 0;
};

/// Takes everything until the end.
inline void collect_rest(Stream& stream, Collected& collected) {
  StreamEvent event;
  while (stream.wait(event)) collected.add(event);
}

/// A stream under the handle, with its steps in view.
class TappedStream {
 public:
  TappedStream(std::shared_ptr<const Engine> engine, StreamOptions options, LiveStepTap tap)
      : engine_(std::move(engine)), scheduler_(engine_->impl().schedulers.least_loaded()) {
    state_ = std::make_shared<StreamState>(std::move(options), scheduler_);
    scheduler_.add(state_, std::move(tap));
  }
  ~TappedStream() {
    state_->cancel();
    state_->wait_for_end();
  }
  TappedStream(const TappedStream&) = delete;

  /// Pushes a chunk when everything before it was looked at.
  void push_paced(std::span<const float> samples, std::size_t chunk) {
    for (std::size_t begin = 0; begin < samples.size(); begin += chunk) {
      state_->push(samples.subspan(begin, std::min(chunk, samples.size() - begin)), true);
      wait_until_idle();
    }
  }
  void wait_until_idle() {
    while (!state_->is_idle()) std::this_thread::yield();
  }
  void finish() {
    state_->close();
    StreamEvent event;
    while (state_->wait(event, -1)) collected_.add(event);
  }
  const std::vector<std::shared_ptr<const Segment>>& segments() const { return collected_.segments(); }
  const Collected& collected() const { return collected_; }

 private:
  std::shared_ptr<const Engine> engine_;
  Scheduler& scheduler_;
  std::shared_ptr<StreamState> state_;
  Collected collected_;
};

/// The model's greedy answer to one recording of at least 0.5 s that begins with `forced`: one fresh prefill of
/// everything, then decode steps. Without the end token.
inline std::vector<std::int32_t> forced_answer(const Engine& engine, std::span<const float> samples,
                                               std::span<const std::int32_t> forced, int max_tokens) {
  const Engine::Impl& impl = engine.impl();
  const Model& model = *impl.model;
  FrontEndWorkspace front_end;
  EncoderWorkspace encoder;
  DecoderWorkspace decoder;
  DeviceTensor audio;
  model.encoder().forward(model.front_end().compute({&samples, 1}, front_end), ShortClipPadding::kOfficial, encoder,
                          audio);
  std::vector<std::int32_t> prompt = model.prompt().build("", "", static_cast<int>(audio.view().rows()));
  prompt.insert(prompt.end(), forced.begin(), forced.end());
  KvPool pool(*impl.backend, model.config().text, static_cast<std::int64_t>(prompt.size()) + max_tokens,
              kv_cache_dtype(impl.options.kv_cache, impl.options.weights));
  KvSequence sequence(pool);
  std::int32_t id = 0;
  const PrefillInput input[] = {{&sequence, prompt, audio.view()}};
  model.decoder().prefill(input, decoder, std::span(&id, 1));
  std::vector<std::int32_t> answer(forced.begin(), forced.end());
  KvSequence* const sequences[] = {&sequence};
  const auto& ends = model.config().eos_token_ids;
  while (std::find(ends.begin(), ends.end(), id) == ends.end() && static_cast<int>(answer.size()) < max_tokens) {
    answer.push_back(id);
    model.decoder().decode_step(sequences, std::span(&id, 1), decoder, std::span(&id, 1));
  }
  return answer;
}

}  // namespace qasr::test
