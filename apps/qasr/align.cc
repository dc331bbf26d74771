// `qasr align`: recording and text -> times of every word, in the formats of `qasr transcribe`.
#include "align.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "device_option.h"
#include "format_names.h"
#include "input_files.h"
#include "model_cache.h"
#include "option_values.h"
#include "output.h"
#include "qasr/align.h"
#include "qasr/audio.h"
#include "standard_input.h"
#include "word_options.h"

namespace qasr::app {
namespace {

using Clock = std::chrono::steady_clock;

double elapsed_ms(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

constexpr const char* kAlignExamples =
    "Examples:\n"
    "  qasr align talk.wav 'Good morning, everybody.'\n"
    "  qasr align --aligner aligner --language German -f srt interview.mp3 @interview.txt > interview.srt\n"
    "  qasr align --aligner aligner -f textgrid speech.flac @speech.txt > speech.TextGrid\n"
    "txt prints a line per word: start and end in seconds, the word (a label track of Audacity).\n";

Audio read_recording(const std::string& path) {
  return path == kStandardInput ? load_audio(read_standard_input, "standard input") : load_audio(path);
}

/// Without outer white space, tabs and line feeds.
std::string single_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\t' || c == '\n' || c == '\r'; }, ' ');
  const std::size_t begin = text.find_first_not_of(' ');
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(' ') + 1 - begin);
}

/// "0.480\t0.800\tHello,"
std::string label_lines(const Alignment& alignment) {
  std::string out;
  for (const Word& word : alignment.words) {
    char times[64];
    std::snprintf(times, sizeof times, "%.3f\t%.3f\t", word.start_s, word.end_s);
    out += times + single_line(word.surface) + "\n";
  }
  return out;
}

std::shared_ptr<const Aligner> open_aligner(const AlignArguments& arguments) {
  EngineOptions options;
  choose_device(arguments.device, options);
  options.weights = kWeightFormats.at(arguments.weights);
  options.n_threads = arguments.n_threads;
  options.cache_dir = arguments.cache_dir;
  if (const char* isa = std::getenv("QASR_CPU_ISA")) options.cpu_isa = isa;
  if (!arguments.quiet) options.log = [](std::string_view line) { print_error(line); };
  if (!arguments.model_dir.empty()) return Aligner::open(resolve_model(arguments.model_dir), options);
  return open_built_in_aligner(options);
}

}  // namespace

CLI::App* add_align(CLI::App& app, AlignArguments& arguments) {
  CLI::App* command = app.add_subcommand("align", "Tell when each word of a known text is said in a recording");
  command->add_option("audio", arguments.audio, "A recording in any format FFmpeg reads; - is standard input")
      ->required()
      ->type_name("AUDIO");
  command->add_option("text", arguments.text, "What is said in it; @FILE reads it from a file")
      ->required()
      ->type_name("TEXT");
  command
      ->add_option(
          "-m,--model,--aligner", arguments.model_dir,
          "A forced aligner: a directory, a safetensors or GGUF file, or a downloaded model (aligner); default: the "
          "demonstration aligner, which knows only synthetic English voices")
      ->type_name("MODEL");
  command->add_option("-l,--language", arguments.language, "Of the text: how it is divided into words (German, de)")
      ->check(CLI::Validator(check_language, ""))
      ->type_name("NAME");
  command->add_option("-f,--format", arguments.format, "txt, srt, vtt, json, jsonl, tsv, lrc, csv or textgrid (Praat)")
      ->check(CLI::Validator(check_format, ""))
      ->type_name("FORMAT");
  command->add_flag("--official-times", arguments.official_times, "Correct times as the official package does");
  command->add_flag("--keep-marks", arguments.keep_marks, "Keep combining marks in every language");
  command
      ->add_option("--max-piece-s", arguments.max_piece_s, "Longest piece the model sees at once; 0 is its own choice")
      ->check(CLI::NonNegativeNumber)
      ->type_name("S");
  command->add_option("--max-line-columns", arguments.subtitles.max_line_columns, "Of a subtitle line")
      ->check(CLI::Range(8, 1000))
      ->type_name("N");
  command->add_option("--max-lines", arguments.subtitles.max_lines, "Of a subtitle")
      ->check(CLI::Range(1, 10))
      ->type_name("N");
  command
      ->add_option("--weights", arguments.weights, "Weights in memory: auto (q8), q8, q4, q4g32, bf16, f32 or stored")
      ->check(CLI::IsMember(kWeightFormats))
      ->type_name("FORMAT");
  command->add_option("--device", arguments.device, "auto, cpu, cuda, cuda:N or cuda:all")
      ->check(CLI::Validator(check_device, ""))
      ->type_name("NAME");
  command->add_option("-t,--threads", arguments.n_threads, "Threads; 0 is one per physical core allowed to the process")
      ->check(CLI::Range(0, 1024))
      ->type_name("N");
  command->add_option("--cache-dir", arguments.cache_dir, "Keep packed weights here, for faster starts")
      ->type_name("DIR");
  command->add_flag("--timings", arguments.timings, "Print the time of the stages on standard error");
  command->add_flag("-q,--quiet", arguments.quiet, "Errors only on standard error");
  command->footer(kAlignExamples);
  return command;
}

ExitCode run_align(const AlignArguments& arguments) {
  const std::string text = text_argument("TEXT", arguments.text);
  const Clock::time_point start = Clock::now();
  const Audio audio = read_recording(arguments.audio);
  const double audio_decode_ms = elapsed_ms(start);
  const std::shared_ptr<const Aligner> aligner = open_aligner(arguments);
  const double model_load_ms = elapsed_ms(start) - audio_decode_ms;
  const Alignment alignment =
      aligner->align(audio.samples, text,
                     {.language = arguments.language,
                      .times = arguments.official_times ? TimeCorrection::kOfficial : TimeCorrection::kRepaired,
                      .marks = arguments.keep_marks ? CombiningMarks::kKeep : CombiningMarks::kAuto,
                      .max_piece_s = arguments.max_piece_s});
  const OutputFormat format = *find_output_format(arguments.format);
  Transcript transcript = to_transcript(alignment, text);
  transcript.warnings.insert(transcript.warnings.begin(), audio.warnings.begin(), audio.warnings.end());
  if (!arguments.quiet) {
    for (const std::string& warning : transcript.warnings) print_error("warning: " + warning);
  }
  print(format == OutputFormat::kText
            ? label_lines(alignment)
            : format_transcript(transcript, format,
                                {.file = arguments.audio, .model = aligner->info().path, .task = "align"},
                                arguments.subtitles));
  if (arguments.timings) std::fputs(timing_table(transcript, model_load_ms, audio_decode_ms).c_str(), stderr);
  return kExitOk;
}

}  // namespace qasr::app
