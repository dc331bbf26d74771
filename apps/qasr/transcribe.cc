// `qasr transcribe`: hop 1 of docs/architecture.md. Arguments -> options -> load_audio -> Session::transcribe ->
// stdout.
//
// Standard output is, per file, the text as it is decoded and a line feed; with several files every line starts with
// "FILE: ". With --json it is one indented document for one file and one line per file (JSON Lines) for several:
//   file, text, language, duration (s), segments [{start, end (s), text, language, truncated}], truncated,
//   timings {preprocessing_ms, audio_encoding_ms, text_generation_ms, prefill_ms (part of the one before), frames,
//   audio_tokens, prompt_tokens, generated_tokens}, model
// A file that fails has no entry there; its message is on standard error.
#include "transcribe.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>

#include "demo_model.h"
#include "format_names.h"
#include "model_cache.h"
#include "output.h"
#include "qasr/audio.h"
#include "qasr/engine.h"
#include "qasr/languages.h"

namespace qasr::app {
namespace {

constexpr const char* kStandardInput = "-";

constexpr const char* kExamples =
    "Examples:\n"
    "  qasr transcribe meeting.mp3\n"
    "  qasr transcribe --model Qwen3-ASR-0.6B --language German interview.m4a\n"
    "  qasr transcribe --model Qwen3-ASR-0.6B --context 'Names: Grace Hopper, Howard Aiken' talk.ogg\n"
    "  qasr transcribe --json *.wav > transcripts.jsonl\n"
    "  ffmpeg -i film.mkv -f wav - | qasr transcribe -\n";

class Stopwatch {
 public:
  double elapsed_ms() const {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// The line of one file on standard output. The prefix waits for the first text, so a file that fails prints nothing.
class OutputLine {
 public:
  explicit OutputLine(std::string prefix) : prefix_(std::move(prefix)) {}
  void write(std::string_view text) {
    print(begun_ ? std::string(text) : prefix_ + std::string(text));
    begun_ = true;
  }
  void end() { write("\n"); }
  bool begun() const { return begun_; }

 private:
  std::string prefix_;
  bool begun_ = false;
};

std::string check_language(const std::string& name) {
  if (name == "auto" || find_language(name)) return {};
  std::string message = "unknown language '" + name + "', expected auto or one of";
  for (const Language& language : languages()) {
    message += " " + std::string(language.name) + " (" + std::string(language.code) + ")";
  }
  return message;
}

/// TEXT, or the contents of FILE for "@FILE".
std::string context_text(const std::string& argument) {
  if (argument.empty() || argument.front() != '@') return argument;
  const std::string path = argument.substr(1);
  std::ifstream file(path, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (!file) {
    throw Error(ErrorCode::kInvalidArgument, "--context: cannot read " + path + ": " + std::strerror(errno));
  }
  return text;
}

std::size_t read_standard_input(std::span<std::byte> destination) {
  for (;;) {
    const ssize_t n_bytes = ::read(STDIN_FILENO, destination.data(), destination.size());
    if (n_bytes >= 0) return static_cast<std::size_t>(n_bytes);
    if (errno != EINTR) {
      throw Error(ErrorCode::kInput, std::string("reading standard input: ") + std::strerror(errno));
    }
  }
}

std::vector<std::string> input_files(const TranscribeArguments& arguments) {
  if (!arguments.files.empty()) {
    if (std::count(arguments.files.begin(), arguments.files.end(), kStandardInput) > 1) {
      throw Error(ErrorCode::kInvalidArgument, "standard input (-) can be read once only");
    }
    return arguments.files;
  }
  if (::isatty(STDIN_FILENO) != 0) {
    throw Error(ErrorCode::kInvalidArgument, "no files given (and standard input is a terminal); see --help");
  }
  return {kStandardInput};
}

constexpr std::string_view kCuda = "cuda", kCudaNumber = "cuda:";

/// Why `name` is no device, for --help and errors; "" if it is one.
std::string check_device(const std::string& name) {
  if (name == "auto" || name == "cpu" || name == kCuda) return {};
  const std::string number = name.starts_with(kCudaNumber) ? name.substr(kCudaNumber.size()) : "";
  const bool valid =
      !number.empty() && number.size() <= 3 && number.find_first_not_of("0123456789") == std::string::npos;
  return valid ? "" : "unknown device '" + name + "', expected auto, cpu, cuda or cuda:N";
}

void choose_device(const TranscribeArguments& arguments, EngineOptions& options) {
  const std::string& device = arguments.device;
  if (arguments.backend == "reference") {
    options.backend = BackendKind::kReference;
  } else if (device.starts_with(kCuda)) {
    options.backend = BackendKind::kCuda;
    if (device.starts_with(kCudaNumber)) options.cuda_device = std::stoi(device.substr(kCudaNumber.size()));
  } else {
    options.backend = device == "cpu" || arguments.backend == "cpu" ? BackendKind::kCpu : BackendKind::kAuto;
  }
}

void log_line(std::string_view line) { print_error(line); }

EngineOptions engine_options(const TranscribeArguments& arguments) {
  EngineOptions options;
  choose_device(arguments, options);
  options.weights = kWeightFormats.at(arguments.weights);
  options.kv_cache = kKvCacheFormats.at(arguments.kv_cache);
  options.n_threads = arguments.n_threads;
  options.cache_dir = arguments.cache_dir;
  if (const char* isa = std::getenv("QASR_CPU_ISA")) options.cpu_isa = isa;
  if (!arguments.quiet) options.log = log_line;
  return options;
}

std::shared_ptr<const Engine> open_engine(const TranscribeArguments& arguments) {
  if (!arguments.model_dir.empty()) return Engine::open(resolve_model(arguments.model_dir), engine_options(arguments));
  if (!arguments.quiet) std::fputs(demo_model_notice().c_str(), stderr);
  return Engine::open(demo_model_files(), kDemoModelName, engine_options(arguments));
}

TranscribeOptions transcribe_options(const TranscribeArguments& arguments) {
  TranscribeOptions options;
  options.language = arguments.language;
  options.context = context_text(arguments.context);
  options.max_tokens = arguments.max_tokens;
  options.max_segment_s = arguments.max_segment_s;
  options.pad_short_clips = !arguments.no_pad;
  return options;
}

Audio load_file(const std::string& file, bool quiet) {
  Audio audio = file == kStandardInput ? load_audio(read_standard_input, "standard input") : load_audio(file);
  if (!quiet) {
    for (const std::string& warning : audio.warnings) print_error("warning: " + file + ": " + warning);
  }
  return audio;
}

/// Prints while it decodes; what was printed stays, and its line is closed, when the rest fails.
Transcript transcribe_to_line(Session& session, const Audio& audio, TranscribeOptions options, std::string prefix) {
  OutputLine line(std::move(prefix));
  std::string printed;
  options.on_text = [&](std::string_view text) {
    line.write(text);
    printed += text;
  };
  try {
    Transcript transcript = session.transcribe(audio.samples, options);
    line.end();
    if (printed != transcript.text) {
      print_error("note: the text above contains repetitions that the final transcript (--json) does not");
    }
    return transcript;
  } catch (const Error&) {
    if (line.begun()) line.end();
    throw;
  }
}

}  // namespace

CLI::App* add_transcribe(CLI::App& app, TranscribeArguments& arguments) {
  CLI::App* command = app.add_subcommand("transcribe", "Print what is said in recordings");
  command->add_option("files", arguments.files, "Recordings in any format FFmpeg reads; - is standard input")
      ->type_name("FILE");
  command
      ->add_option("-m,--model", arguments.model_dir,
                   "A directory, a safetensors or GGUF file, or a downloaded model (0.6b, OWNER/NAME); default: the "
                   "demonstration model")
      ->type_name("MODEL");
  command->add_option("-l,--language", arguments.language, "auto, an English name (German) or a code (de)")
      ->check(CLI::Validator(check_language, ""))
      ->type_name("NAME");
  command->add_option("-c,--context", arguments.context, "Topic, names, vocabulary; @FILE reads it from a file")
      ->type_name("TEXT");
  command->add_flag("--json", arguments.json, "Print JSON: one document, or JSON Lines for several files");
  command->add_flag("--timings", arguments.timings, "Print the time of the three stages on standard error");
  command->add_option("-t,--threads", arguments.n_threads, "Threads; 0 is one per physical core allowed to the process")
      ->check(CLI::Range(0, 1024))
      ->type_name("N");
  command->add_option("--max-tokens", arguments.max_tokens, "Most tokens per segment; 0 follows the segment's length")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N");
  command->add_option("--max-segment-s", arguments.max_segment_s, "Longest segment in seconds; 0 asks the checkpoint")
      ->check(CLI::NonNegativeNumber)
      ->type_name("S");
  command->add_flag("--no-pad", arguments.no_pad,
                    "Leave recordings under 0.5 s unpadded, as the official package does");
  command
      ->add_option(
          "--weights", arguments.weights,
          "Weights in memory: auto (q8), q8, q4 (4-bit decoder layers), q4g32 (the same, finer), bf16, f32, or "
          "stored (as the checkpoint has them)")
      ->check(CLI::IsMember(kWeightFormats))
      ->type_name("FORMAT");
  command->add_option("--cache-dir", arguments.cache_dir, "Keep packed weights here, for faster starts of a model")
      ->type_name("DIR");
  command
      ->add_option("--kv-cache", arguments.kv_cache,
                   "Keys and values in memory: auto (f32 with f32 weights, else bf16)")
      ->check(CLI::IsMember(kKvCacheFormats))
      ->type_name("FORMAT");
  command
      ->add_option("--device", arguments.device,
                   "Where to compute: auto (a GPU if there is one), cpu, cuda or cuda:N for GPU N")
      ->check(CLI::Validator(check_device, ""))
      ->type_name("NAME");
  command->add_option("--backend", arguments.backend, "cpu, or reference (plain loops, slow)")
      ->check(CLI::IsMember({"cpu", "reference"}))
      ->type_name("NAME");
  command->add_flag("-q,--quiet", arguments.quiet, "Errors only on standard error");
  command->footer(kExamples);
  return command;
}

ExitCode run_transcribe(const TranscribeArguments& arguments) {
  const std::vector<std::string> files = input_files(arguments);
  const TranscribeOptions options = transcribe_options(arguments);
  const Stopwatch loading;
  Session session(open_engine(arguments));
  const double model_load_ms = loading.elapsed_ms();
  const std::string model = arguments.model_dir.empty() ? kDemoModelName : arguments.model_dir;

  ExitCode result = kExitOk;
  for (const std::string& file : files) {
    const bool one_file = files.size() == 1;
    try {
      const Stopwatch decoding;
      const Audio audio = load_file(file, arguments.quiet);
      const double audio_decode_ms = decoding.elapsed_ms();
      Transcript transcript;
      if (arguments.json) {
        transcript = session.transcribe(audio.samples, options);
        print(to_json(transcript, {.file = file, .model = model}, !one_file));
      } else {
        transcript = transcribe_to_line(session, audio, options, one_file ? "" : file + ": ");
      }
      if (arguments.timings) std::fputs(timing_table(transcript, model_load_ms, audio_decode_ms).c_str(), stderr);
      if (transcript.truncated && !arguments.quiet) {
        print_error("warning: " + file + ": the token limit ended the transcript early; see --max-tokens");
      }
    } catch (const Error& error) {
      print_error(error.what());
      if (result == kExitOk) result = exit_code(error.code());
    }
  }
  return result;
}

}  // namespace qasr::app
