// Final texts of streams against the offline ones.
#include <chrono>
#include <random>
#include <thread>

#include "bench/stream_bench.h"
#include "engine/engine_impl.h"
#include "engine/stream_state.h"

namespace qasr::bench {
namespace {

std::string stream_text(const Engine& engine, const StreamOptions& options, const std::vector<float>& samples,
                        const std::function<std::size_t()>& push_samples) {
  Scheduler& scheduler = engine.impl().schedulers.least_loaded();
  const auto state = std::make_shared<StreamState>(options, scheduler);
  scheduler.add(state);
  for (std::size_t begin = 0; begin < samples.size();) {
    const std::size_t n = std::min(push_samples(), samples.size() - begin);
    state->push(std::span(samples).subspan(begin, n), true);
    begin += n;
    while (!state->is_idle()) std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  state->close();
  std::string text;
  for (StreamEvent event; state->wait(event, -1);) {
    if (event.kind == StreamEvent::Kind::kCommitted) text += event.separator + event.text;
    if (event.kind == StreamEvent::Kind::kError) throw Error(*event.error);
  }
  return text;
}

}  // namespace

StreamTextReport compare_stream_texts(const std::shared_ptr<const Engine>& engine, const StreamBenchOptions& options,
                                      int push_ms) {
  StreamTextReport report;
  Session session(engine);
  std::mt19937 random(1);
  std::uniform_int_distribution<std::size_t> any(1, kSampleRate * 3 / 2);
  const std::function<std::size_t()> push_samples = [&] {
    return push_ms > 0 ? static_cast<std::size_t>(push_ms) * kSampleRate / 1000 : any(random);
  };
  for (const KnownRecording& recording : options.recordings) {
    const std::string offline = session.transcribe(recording.samples).text;
    const std::string live = stream_text(*engine, options.stream, recording.samples, push_samples);
    ++report.n_recordings;
    report.n_equal += live == offline ? 1 : 0;
    if (live != offline) report.different.emplace_back(offline, live);
    report.n_words += recording.words.size();
    report.offline_edits += word_edits(recording.words, plain_words(offline));
    report.stream_edits += word_edits(recording.words, plain_words(live));
  }
  return report;
}

}  // namespace qasr::bench
