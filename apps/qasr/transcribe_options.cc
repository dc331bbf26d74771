// The options of `qasr transcribe`: declaration, contradictions, translation into the library's.
#include <algorithm>
#include <cstdlib>

#include "device_option.h"
#include "format_names.h"
#include "option_values.h"
#include "output.h"
#include "qasr/languages.h"
#include "transcribe.h"

namespace qasr::app {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  qasr transcribe meeting.mp3\n"
    "  qasr transcribe --model Qwen3-ASR-0.6B --language German interview.m4a\n"
    "  qasr transcribe --model Qwen3-ASR-0.6B --context 'Names: Grace Hopper, Howard Aiken' talk.ogg\n"
    "  qasr transcribe --recursive -f srt -f json -o transcripts --resume recordings/\n"
    "  qasr transcribe --split-channels -f vtt call.wav\n"
    "  qasr transcribe --json *.wav > transcripts.jsonl\n"
    "  ffmpeg -i film.mkv -f wav - | qasr transcribe -\n";

constexpr double kVadMaxSegmentS = 30, kOfficialMaxSegmentS = 1200;
constexpr const char* kText = "Text";
constexpr const char* kOutput = "Output";
constexpr const char* kAudio = "Audio";
constexpr const char* kMachine = "Model and machine";

[[noreturn]] void refuse(const std::string& message) { throw Error(ErrorCode::kInvalidArgument, message); }

void choose_backend(const TranscribeArguments& arguments, EngineOptions& options) {
  if (arguments.backend == "reference") {
    options.backend = BackendKind::kReference;
  } else {
    choose_device(arguments.backend == "cpu" && arguments.device == "auto" ? "cpu" : arguments.device, options);
  }
}

void log_line(std::string_view line) { print_error(line); }

/// Words separated by commas or line breaks.
std::vector<std::string> split_words(const std::string& text) {
  std::vector<std::string> words;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find_first_of(",\n", begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

void add_text_options(CLI::App& command, TranscribeArguments& arguments) {
  add_language_options(command, arguments);
  command.add_option("--temperature", arguments.sampling.temperature, "Draw tokens; 0 takes the most likely one")
      ->type_name("T")
      ->group(kText);
  command.add_option("--top-k", arguments.sampling.top_k, "Draw from the K most likely tokens")
      ->type_name("K")
      ->group(kText);
  command.add_option("--top-p", arguments.sampling.top_p, "Draw from the most likely tokens of this probability")
      ->type_name("P")
      ->group(kText);
  command.add_option("--seed", arguments.sampling.seed, "Of the draws")->type_name("N")->group(kText);
  command
      .add_option("--repetition-penalty", arguments.sampling.repetition_penalty,
                  "Above 1 disfavours tokens said before")
      ->type_name("X")
      ->group(kText);
  command.add_option("--no-repeat-ngram", arguments.sampling.no_repeat_ngram_size, "No N tokens in a row occur twice")
      ->type_name("N")
      ->group(kText);
  command.add_option("--max-tokens", arguments.max_tokens, "Most tokens per segment; 0 follows the segment's length")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N")
      ->group(kText);
  command.add_flag("--no-guards", arguments.no_guards, "Leave answers that loop as they are")->group(kText);
}

void add_output_options(CLI::App& command, TranscribeArguments& arguments) {
  command
      .add_option("-f,--format", arguments.formats,
                  "txt, srt, vtt, json, jsonl, tsv, lrc, csv or textgrid (Praat); several with -o (-f srt,json or -f "
                  "srt -f json)")
      ->check(CLI::Validator(check_format, ""))
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("FORMAT")
      ->group(kOutput);
  command.add_option("-o,--output-dir", arguments.output_dir, "Write files here, named after the recordings")
      ->type_name("DIR")
      ->group(kOutput);
  command.add_flag("--resume", arguments.resume, "Skip recordings whose files are there, complete and newer")
      ->group(kOutput);
  command.add_flag("--json", arguments.json, "Print JSON: one document, or JSON Lines for several files")
      ->group(kOutput);
  command.add_flag("--colors", arguments.colors, "Colour doubtful words yellow and red")->group(kOutput);
  command.add_option("--max-line-columns", arguments.subtitles.max_line_columns, "Of a subtitle line")
      ->check(CLI::Range(8, 1000))
      ->type_name("N")
      ->group(kOutput);
  command.add_option("--max-lines", arguments.subtitles.max_lines, "Of a subtitle")
      ->check(CLI::Range(1, 10))
      ->type_name("N")
      ->group(kOutput);
  command.add_flag("--strict", arguments.strict, "Exit code 6 if anything was cut off, looped or could not be read")
      ->group(kOutput);
  command.add_flag("--timings", arguments.timings, "Print the time of the three stages on standard error")
      ->group(kOutput);
  command.add_flag("-q,--quiet", arguments.quiet, "Errors only on standard error")->group(kOutput);
}

void add_audio_options(CLI::App& command, TranscribeArguments& arguments) {
  command.add_option("--vad", arguments.vad, "auto leaves out what is no speech; off transcribes everything")
      ->check(CLI::IsMember({"auto", "off"}))
      ->type_name("MODE")
      ->group(kAudio);
  command
      .add_option("--max-segment-s", arguments.max_segment_s,
                  "Longest segment in seconds; 0 is 30 with --vad auto, else what the checkpoint recommends")
      ->check(CLI::NonNegativeNumber)
      ->type_name("S")
      ->group(kAudio);
  command.add_option("--segment-s", arguments.segment_s, "From this length on a segment ends at the next pause")
      ->check(CLI::NonNegativeNumber)
      ->type_name("S")
      ->group(kAudio);
  command.add_option("--offset", arguments.offset_s, "Seconds to leave out at the beginning")
      ->check(CLI::NonNegativeNumber)
      ->type_name("S")
      ->group(kAudio);
  command.add_option("--duration", arguments.duration_s, "Seconds to transcribe; 0 is all")
      ->check(CLI::NonNegativeNumber)
      ->type_name("S")
      ->group(kAudio);
  command.add_option("--channel", arguments.channel, "Only this channel, counted from 1; default: the mix of all")
      ->check(CLI::Range(1, 1024))
      ->type_name("N")
      ->group(kAudio);
  command.add_flag("--split-channels", arguments.split_channels, "Each channel for itself (speakers of a phone call)")
      ->group(kAudio);
  command.add_option("--max-hours", arguments.max_hours, "Stop reading a recording after this many hours")
      ->check(CLI::PositiveNumber)
      ->type_name("H")
      ->group(kAudio);
  command.add_flag("--no-pad", arguments.no_pad, "Leave recordings under 0.5 s unpadded, as the official package does")
      ->group(kAudio);
}

bool makes_cues(OutputFormat format) {
  return format == OutputFormat::kSrt || format == OutputFormat::kVtt || format == OutputFormat::kLrc;
}

}  // namespace

void add_language_options(CLI::App& command, TranscribeArguments& arguments) {
  command.add_option("-l,--language", arguments.language, "auto, an English name (German) or a code (de)")
      ->check(CLI::Validator(check_language, ""))
      ->type_name("NAME")
      ->group(kText);
  command.add_option("-c,--context", arguments.context, "Topic, names, vocabulary; @FILE reads it from a file")
      ->type_name("TEXT")
      ->group(kText);
  command
      .add_option("--hotwords", arguments.hotwords, "Words that may occur, separated by commas; @FILE has one a line")
      ->type_name("WORDS")
      ->group(kText);
}

void add_machine_options(CLI::App& command, TranscribeArguments& arguments) {
  command
      .add_option("-m,--model", arguments.model_dir,
                  "A directory, a safetensors or GGUF file, or a downloaded model (0.6b, OWNER/NAME); default: the "
                  "demonstration model")
      ->type_name("MODEL")
      ->group(kMachine);
  command.add_option("-b,--batch", arguments.batch, "Segments decoded together; 0 is 8 on a CPU, 64 on a GPU")
      ->check(CLI::Range(0, 4096))
      ->type_name("N")
      ->group(kMachine);
  command.add_option("-t,--threads", arguments.n_threads, "Threads; 0 is one per physical core allowed to the process")
      ->check(CLI::Range(0, 1024))
      ->type_name("N")
      ->group(kMachine);
  command
      .add_option("--weights", arguments.weights,
                  "Weights in memory: auto (q8), q8, q4 (4-bit decoder layers), q4g32 (the same, finer), bf16, f32, or "
                  "stored (as the checkpoint has them); on a GPU auto (bf16), q8 or fp8")
      ->check(CLI::IsMember(kWeightFormats))
      ->type_name("FORMAT")
      ->group(kMachine);
  command.add_option("--cache-dir", arguments.cache_dir, "Keep packed weights here, for faster starts of a model")
      ->type_name("DIR")
      ->group(kMachine);
  command
      .add_option("--kv-cache", arguments.kv_cache,
                  "Keys and values in memory: auto (f32 with f32 weights, else bf16), f32, bf16; fp8 on a GPU")
      ->check(CLI::IsMember(kKvCacheFormats))
      ->type_name("FORMAT")
      ->group(kMachine);
  command
      .add_option(
          "--device", arguments.device,
          "Where to compute: auto (a GPU if there is one), cpu, cuda, cuda:N for GPU N, or cuda:all for every GPU")
      ->check(CLI::Validator(check_device, ""))
      ->type_name("NAME")
      ->group(kMachine);
  command.add_option("--backend", arguments.backend, "cpu, or reference (plain loops, slow)")
      ->check(CLI::IsMember({"cpu", "reference"}))
      ->type_name("NAME")
      ->group(kMachine);
}

std::string context_text(const TranscribeArguments& arguments) { return text_argument("--context", arguments.context); }

std::vector<std::string> hotword_list(const TranscribeArguments& arguments) {
  return split_words(text_argument("--hotwords", arguments.hotwords));
}

CLI::App* add_transcribe(CLI::App& app, TranscribeArguments& arguments) {
  CLI::App* command = app.add_subcommand("transcribe", "Write down what is said in recordings");
  command->add_option("files", arguments.input.paths, "Recordings in any format FFmpeg reads; - is standard input")
      ->type_name("FILE");
  command->add_flag("-r,--recursive", arguments.input.recursive, "Search folders for recordings");
  command
      ->add_option("--files-from", arguments.input.files_from, "A list of recordings, one a line; - is standard input")
      ->type_name("LIST");
  add_output_options(*command, arguments);
  add_text_options(*command, arguments);
  add_audio_options(*command, arguments);
  add_machine_options(*command, arguments);
  command->footer(kExamples);
  command->callback([&arguments, command] { check_arguments(arguments, command); });
  return command;
}

std::vector<OutputFormat> wanted_formats(const TranscribeArguments& arguments) {
  std::vector<OutputFormat> formats;
  if (arguments.json) formats.push_back(OutputFormat::kJson);
  for (const std::string& name : arguments.formats) {
    const OutputFormat format = *find_output_format(name);
    if (std::count(formats.begin(), formats.end(), format) == 0) formats.push_back(format);
  }
  if (formats.empty()) formats.push_back(OutputFormat::kText);
  return formats;
}

void check_arguments(const TranscribeArguments& arguments, const CLI::App* command) {
  const std::vector<OutputFormat> formats = wanted_formats(arguments);
  const auto given = [&](const char* option) { return command->count(option) > 0; };
  if (arguments.json && !arguments.formats.empty()) refuse("--json and --format exclude each other; -f json is --json");
  if (formats.size() > 1 && arguments.output_dir.empty()) {
    refuse("several formats cannot share standard output; -o DIR writes files");
  }
  if (arguments.resume && arguments.output_dir.empty())
    refuse("--resume needs -o DIR: there is nothing to compare with");
  if (arguments.colors && (!arguments.output_dir.empty() || formats[0] != OutputFormat::kText)) {
    refuse("--colors is for text on standard output; leave out -o, -f and --json");
  }
  if (arguments.colors && arguments.split_channels) refuse("--colors and --split-channels exclude each other");
  if (given("--channel") && arguments.split_channels) refuse("--channel and --split-channels exclude each other");
  if ((given("--max-line-columns") || given("--max-lines")) &&
      std::none_of(formats.begin(), formats.end(), makes_cues)) {
    refuse("--max-line-columns and --max-lines are for subtitles; add -f srt, vtt or lrc");
  }
  if (arguments.vad == "off" && given("--segment-s"))
    refuse("--segment-s needs --vad auto: without it no pauses are known");
  if (arguments.backend == "reference" && arguments.device.starts_with("cuda")) {
    refuse("--backend reference computes on the CPU, not on --device " + arguments.device);
  }
}

void check_standard_output(const TranscribeArguments& arguments, std::size_t n_inputs) {
  if (!arguments.output_dir.empty() || n_inputs <= 1) return;
  const OutputFormat format = wanted_formats(arguments)[0];
  if (format == OutputFormat::kText || format == OutputFormat::kJson || format == OutputFormat::kJsonLines) return;
  refuse(std::string(output_format_name(format)) + " of " + std::to_string(n_inputs) +
         " recordings cannot share standard output; -o DIR writes files");
}

EngineOptions engine_options(const TranscribeArguments& arguments) {
  EngineOptions options;
  choose_backend(arguments, options);
  options.weights = kWeightFormats.at(arguments.weights);
  options.kv_cache = kKvCacheFormats.at(arguments.kv_cache);
  options.n_threads = arguments.n_threads;
  options.cache_dir = arguments.cache_dir;
  options.scheduler.max_batch = arguments.batch;
  if (const char* isa = std::getenv("QASR_CPU_ISA")) options.cpu_isa = isa;
  if (!arguments.quiet) options.log = log_line;
  return options;
}

JobOptions job_options(const TranscribeArguments& arguments, double recommended_max_segment_s) {
  JobOptions options;
  TranscribeOptions& transcribe = options.request.transcribe;
  transcribe.language = arguments.language;
  transcribe.context = context_text(arguments);
  transcribe.hotwords = hotword_list(arguments);
  transcribe.max_tokens = arguments.max_tokens;
  transcribe.pad_short_clips = !arguments.no_pad;
  transcribe.sampling = arguments.sampling;
  transcribe.guards.detect_repetition = !arguments.no_guards;

  const std::vector<OutputFormat> formats = wanted_formats(arguments);
  const auto shows_tokens = [](OutputFormat format) {
    return format == OutputFormat::kJson || format == OutputFormat::kJsonLines || format == OutputFormat::kCsv;
  };
  options.request.keep_tokens = arguments.colors || std::any_of(formats.begin(), formats.end(), shows_tokens);
  options.model = arguments.model_dir;
  if (arguments.output_dir.empty() && !arguments.split_channels) {
    if (formats[0] == OutputFormat::kText)
      options.live = arguments.colors ? LiveOutput::kColoredText : LiveOutput::kText;
    if (formats[0] == OutputFormat::kJsonLines) options.live = LiveOutput::kJsonLines;
  }

  options.audio.offset_s = arguments.offset_s;
  options.audio.duration_s = arguments.duration_s;
  options.audio.max_duration_s = arguments.max_hours * 3600;
  if (arguments.channel > 0) options.audio.channels = ChannelMode::kOne;
  if (arguments.channel > 0) options.audio.channel = arguments.channel - 1;
  if (arguments.split_channels) options.audio.channels = ChannelMode::kSplit;

  SegmentationOptions& segmentation = options.segmentation;
  segmentation.voice_activity = arguments.vad == "auto";
  const double recommended_s = recommended_max_segment_s > 0 ? recommended_max_segment_s : kOfficialMaxSegmentS;
  segmentation.max_s = segmentation.voice_activity ? std::min(kVadMaxSegmentS, recommended_s) : recommended_s;
  if (arguments.max_segment_s > 0) segmentation.max_s = arguments.max_segment_s;
  segmentation.target_s = arguments.segment_s;
  return options;
}

}  // namespace qasr::app
