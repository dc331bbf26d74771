// The options of `qasr stream`: declaration, contradictions, translation into the library's.
#include <map>

#include "stream.h"
#include "option_values.h"
#include "word_options.h"

namespace qasr::app {
namespace {

constexpr const char* kStreamExamples =
    "Examples:\n"
    "  qasr stream --model 0.6b                               the default microphone; Ctrl-C ends\n"
    "  qasr stream --list-microphones\n"
    "  qasr stream --model 0.6b --microphone headset --jsonl\n"
    "  qasr stream --realtime talk.mp3                        a file, as fast as it was recorded\n"
    "  arecord -q -f S16_LE -r 16000 -t raw | qasr stream --rate 16000 -\n"
    "  ffmpeg -i rtsp://camera/ -vn -f ogg - | qasr stream -f vtt - > live.vtt\n";

constexpr const char* kSound = "Sound";
constexpr const char* kLive = "Live";

const std::map<std::string, StreamLatency> kLatencies = {
    {"low", StreamLatency::kLow}, {"balanced", StreamLatency::kBalanced}, {"accurate", StreamLatency::kAccurate}};
const std::map<std::string, CommitPolicy> kPolicies = {{"agreement", CommitPolicy::kAgreement},
                                                       {"official", CommitPolicy::kOfficial},
                                                       {"segment", CommitPolicy::kSegment}};
const std::map<std::string, LiveFormat> kFormats = {{"txt", LiveFormat::kText},
                                                    {"jsonl", LiveFormat::kJsonLines},
                                                    {"srt", LiveFormat::kSrt},
                                                    {"vtt", LiveFormat::kVtt}};

void check_arguments(const StreamArguments& arguments, const CLI::App& command) {
  const auto given = [&](const char* option) { return command.count(option) > 0; };
  const bool is_raw = arguments.rate > 0;
  if (arguments.json_lines && given("--format")) refuse("--jsonl and --format exclude each other; -f jsonl is --jsonl");
  if (is_raw && arguments.file != "-") refuse("--rate is for raw PCM on standard input; add -");
  if (!is_raw && (given("--channels") || given("--sample-format"))) {
    refuse("--channels and --sample-format describe raw PCM; add --rate");
  }
  if (arguments.realtime && (arguments.file.empty() || arguments.file == "-")) {
    refuse("--realtime is for files; a microphone and standard input have a pace of their own");
  }
  if (given("--microphone") && !arguments.file.empty()) refuse("--microphone is a source; leave out FILE");
  if (wants_words(arguments.common) && live_format(arguments) == LiveFormat::kText) {
    refuse("--words and --aligner are for formats that show words; add --jsonl, or -f srt or vtt");
  }
  if (given("--agreement") && arguments.commit != "agreement") refuse("--agreement needs --commit agreement");
}

void add_sound_options(CLI::App& command, StreamArguments& arguments) {
  command.add_option("file", arguments.file, "A recording, or - for standard input; default: the microphone")
      ->type_name("FILE");
  command.add_flag("--list-microphones", arguments.list_microphones, "List the microphones and end")->group(kSound);
  command
      .add_option("--microphone", arguments.microphone,
                  "Microphone: a number of --list-microphones or a part of its name")
      ->type_name("NAME")
      ->group(kSound);
  command.add_flag("--realtime", arguments.realtime, "Read FILE as fast as it was recorded")->group(kSound);
  command.add_option("--rate", arguments.rate, "Standard input is raw PCM of this rate, not a recording")
      ->check(CLI::Range(4000, 192000))
      ->type_name("HZ")
      ->group(kSound);
  command.add_option("--sample-format", arguments.sample_format, "Of raw PCM: s16 or f32, native byte order")
      ->check(CLI::IsMember({"s16", "f32"}))
      ->capture_default_str()
      ->type_name("FORMAT")
      ->group(kSound);
  command.add_option("--channels", arguments.channels, "Of raw PCM; they are mixed")
      ->check(CLI::Range(1, 32))
      ->capture_default_str()
      ->type_name("N")
      ->group(kSound);
}

void add_live_options(CLI::App& command, StreamArguments& arguments) {
  command.add_option("--latency", arguments.latency, "low, balanced or accurate: 320, 500 or 1000 ms between steps")
      ->check(CLI::IsMember(kLatencies))
      ->capture_default_str()
      ->type_name("PRESET")
      ->group(kLive);
  command.add_option("--chunk-ms", arguments.chunk_ms, "Audio between two steps; default: as --latency says")
      ->check(CLI::Range(100, 10000))
      ->type_name("MS")
      ->group(kLive);
  command
      .add_option("--max-load", arguments.max_load,
                  "Share of real time that steps may compute: rarer steps on slow machines; 0: no limit")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str()
      ->type_name("X")
      ->group(kLive);
  command
      .add_option("--commit", arguments.commit,
                  "When text becomes final: agreement (of successive hypotheses, and at pauses), official (the "
                  "reference's rule), segment (at the end of segments only)")
      ->check(CLI::IsMember(kPolicies))
      ->capture_default_str()
      ->type_name("POLICY")
      ->group(kLive);
  command.add_option("--agreement", arguments.agreement, "Hypotheses that must agree; default: as --latency says")
      ->check(CLI::Range(1, 8))
      ->type_name("N")
      ->group(kLive);
  command.add_option("--endpoint-ms", arguments.endpoint_ms, "A pause of this length after speech is an endpoint")
      ->check(CLI::Range(100, 10000))
      ->capture_default_str()
      ->type_name("MS")
      ->group(kLive);
  command.add_flag("--end-at-pause", arguments.end_at_pause, "Every endpoint ends its segment")->group(kLive);
  command.add_option("--max-segment-s", arguments.max_segment_s, "No segment is longer")
      ->check(CLI::Range(5.0, 120.0))
      ->capture_default_str()
      ->type_name("S")
      ->group(kLive);
  command
      .add_option("--carry-context", arguments.carry_context,
                  "Bytes of the text so far that the next segment has as context")
      ->check(CLI::Range(0, 100000))
      ->type_name("N")
      ->group(kLive);
  command.add_flag("--no-vad", arguments.no_vad, "Give silence and noise to the model too; no endpoints")->group(kLive);
  command
      .add_option("-f,--format", arguments.format, "txt, jsonl (every event), srt or vtt (appended as segments end)")
      ->check(CLI::IsMember(kFormats))
      ->capture_default_str()
      ->type_name("FORMAT");
  command.add_flag("--jsonl", arguments.json_lines, "The same as -f jsonl");
  command.add_flag("-q,--quiet", arguments.common.quiet, "No notices and warnings on standard error");
}

}  // namespace

CLI::App* add_stream(CLI::App& app, StreamArguments& arguments) {
  CLI::App* command = app.add_subcommand("stream", "Write down what is being said: microphone, pipe, or a file live");
  add_sound_options(*command, arguments);
  add_live_options(*command, arguments);
  add_language_options(*command, arguments.common);
  add_word_options(*command, arguments.common);
  add_machine_options(*command, arguments.common);
  command->footer(kStreamExamples);
  command->callback([&arguments, command] { check_arguments(arguments, *command); });
  return command;
}

LiveFormat live_format(const StreamArguments& arguments) {
  return arguments.json_lines ? LiveFormat::kJsonLines : kFormats.at(arguments.format);
}

StreamOptions stream_options(const StreamArguments& arguments, int sample_rate) {
  StreamOptions options;
  options.language = arguments.common.language;
  options.context = context_text(arguments.common);
  options.hotwords = hotword_list(arguments.common);
  options.carry_context_bytes = arguments.carry_context;
  options.latency = kLatencies.at(arguments.latency);
  options.chunk_ms = arguments.chunk_ms;
  options.max_load = arguments.max_load;
  options.commit = kPolicies.at(arguments.commit);
  options.agreement = arguments.agreement;
  options.endpoint_ms = arguments.endpoint_ms;
  options.endpoint_ends_segment = arguments.end_at_pause;
  options.max_segment_s = arguments.max_segment_s;
  options.voice_activity = !arguments.no_vad;
  options.sample_rate = sample_rate;
  options.keep_tokens = live_format(arguments) == LiveFormat::kJsonLines;
  return options;
}

}  // namespace qasr::app
