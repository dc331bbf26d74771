// `qasr stream`: a thread reads the source and pushes, this one shows what comes out. Ctrl-C stops the source; what was
// heard until then is still transcribed and committed. A second Ctrl-C ends at once.
#include "stream.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "microphone.h"
#include "output.h"
#include "sound_source.h"
#include "word_options.h"

namespace qasr::app {
namespace {

constexpr double kPollS = 0.1;

std::atomic<int> interrupts = 0;

extern "C" void on_stream_interrupt(int) {
  if (interrupts++ > 0) ::_exit(kExitInterrupted);
}

void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = on_stream_interrupt;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

std::unique_ptr<SoundSource> open_source(const StreamArguments& arguments) {
  if (arguments.file.empty()) return open_microphone(arguments.microphone);
  if (arguments.file != "-") return file_input(arguments.file, arguments.realtime);
  if (arguments.rate == 0) return coded_input();
  const SampleFormat format = arguments.sample_format == "f32" ? SampleFormat::kF32 : SampleFormat::kS16;
  return raw_input(arguments.rate, format, arguments.channels);
}

// Pushes a source into a stream until either ends.
class Feeder {
 public:
  Feeder(SoundSource& source, Stream& stream) : source_(source), stream_(stream), thread_([this] { run(); }) {}
  ~Feeder() {
    source_.stop();
    thread_.join();
  }
  Feeder(const Feeder&) = delete;

  void stop() { source_.stop(); }
  /// What the source failed with. After the end of the stream.
  const std::optional<Error>& error() const { return error_; }

 private:
  void run() {
    try {
      std::vector<float> samples;
      while (source_.read(samples) && stream_.push(samples)) {
      }
    } catch (const Error& error) {
      error_ = error;
    } catch (const std::exception& error) {
      error_ = Error(ErrorCode::kInternal, error.what());
    }
    stream_.close();  // what was heard before is committed all the same
  }

  SoundSource& source_;
  Stream& stream_;
  std::optional<Error> error_;
  std::thread thread_;
};

ExitCode finish(const StreamArguments& arguments, const SoundSource& source, const std::optional<Error>& stream_error,
                const std::optional<Error>& source_error) {
  if (!arguments.common.quiet && !source_error) {
    for (const std::string& warning : source.warnings()) print_error("warning: " + warning);
  }
  for (const std::optional<Error>& error : {stream_error, source_error}) {
    if (!error) continue;
    print_error(error->what());
    return exit_code(error->code());
  }
  return kExitOk;
}

}  // namespace

ExitCode run_stream(const StreamArguments& arguments) {
  if (arguments.list_microphones) {
    print(list_microphones());
    return kExitOk;
  }
  stream_options(arguments, kSampleRate);  // what is wrong with them shows before the model is loaded
  catch_interrupts();
  const std::shared_ptr<const Engine> engine = open_engine(arguments.common);
  const std::unique_ptr<SoundSource> source = open_source(arguments);
  if (arguments.file.empty() && !arguments.common.quiet) print_error("listening; Ctrl-C ends");
  const std::unique_ptr<EventOutput> output = make_event_output(live_format(arguments));
  StreamOptions options = stream_options(arguments, source->sample_rate());
  if (wants_words(arguments.common)) options.aligner = open_aligner(arguments.common);
  Stream stream(engine, std::move(options));

  std::optional<Error> stream_error, source_error;
  {
    Feeder feeder(*source, stream);
    bool stopped = false;
    for (StreamEvent event{}; event.kind != StreamEvent::Kind::kEnd;) {
      if (interrupts > 0 && !stopped) {
        stopped = true;
        feeder.stop();
      }
      if (!stream.wait(event, kPollS)) continue;
      if (event.kind == StreamEvent::Kind::kError) stream_error = event.error;
      output->on_event(event);
    }
    feeder.stop();
    source_error = feeder.error();
  }
  return finish(arguments, *source, stream_error, source_error);
}

}  // namespace qasr::app
