// The program `qasr`: start here. Parses the command line, runs one subcommand, turns failures into exit codes.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <sstream>
#include <string>

#include "align.h"
#include "bench.h"
#include "download.h"
#include "exit_code.h"
#include "info.h"
#include "output.h"
#include "qasr/error.h"
#include "qasr/version.h"
#include "quantize.h"
#include "serve.h"
#include "stream.h"
#include "transcribe.h"

namespace qasr::app {
namespace {

constexpr const char* kFooter =
    "Examples:\n"
    "  qasr transcribe recording.wav\n"
    "  qasr download 0.6b\n"
    "  qasr transcribe --model 0.6b --language German interview.m4a\n"
    "  qasr transcribe --recursive -f srt,json -o transcripts recordings/\n"
    "  qasr align --model aligner talk.wav @talk.txt\n"
    "  qasr serve --model 0.6b --port 8000\n"
    "  qasr stream --model 0.6b\n"
    "  qasr info 0.6b\n"
    "  qasr bench --weights bf16\n"
    "\n"
    "Results are on standard output, everything else is on standard error.\n"
    "Exit codes: 0 success; 1 internal error, or results could not be written; 2 usage (unknown option, unknown\n"
    "language); 3 input (a recording is missing, not audio, too long for the model); 4 model (checkpoint missing or\n"
    "damaged); 5 device (instruction set not available, not enough memory); 6 incomplete (with --strict: something "
    "was\n"
    "cut off, looped or could not be read); 130 interrupted. With several files: the first failure's.\n"
    "Environment: QASR_CPU_ISA=generic|avx2|avx2-vnni|avx512|avx512-vnni|avx512-bf16|avx512-amx|neon|neon-dotprod|"
    "neon-i8mm forces an\n"
    "instruction set.\n";

/// Help and version are results; everything else that ends parsing is a usage error.
ExitCode finish_parsing(const CLI::App& app, const CLI::ParseError& error) {
  std::ostringstream results, messages;
  const int status = app.exit(error, results, messages);
  print(results.str());
  if (status == 0) return kExitOk;
  std::fputs(messages.str().c_str(), stderr);
  return kExitUsage;
}

ExitCode run(int argc, char** argv) {
  CLI::App app("Speech recognition with Qwen3-ASR", "qasr");
  app.set_version_flag("--version", std::string("qasr ") + version());
  app.require_subcommand(0, 1);  // none is reported below: CLI11 would hide an unknown name behind that
  app.footer(kFooter);
  TranscribeArguments transcribe;
  InfoArguments info;
  BenchArguments bench;
  const CLI::App* transcribe_command = add_transcribe(app, transcribe);
  const CLI::App* info_command = add_info(app, info);
  QuantizeArguments quantize;
  const CLI::App* quantize_command = add_quantize(app, quantize);
  DownloadArguments download;
  const CLI::App* download_command = add_download(app, download);
  ModelsArguments models;
  const CLI::App* models_command = add_models(app, models);
  StreamArguments stream;
  const CLI::App* stream_command = add_stream(app, stream);
  AlignArguments align;
  const CLI::App* align_command = add_align(app, align);
  add_bench(app, bench);
  ServeArguments serve;
  const CLI::App* serve_command = add_serve(app, serve);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return finish_parsing(app, error);
  }
  if (app.get_subcommands().empty()) {
    std::fputs("A subcommand is required\nRun with --help for more information.\n", stderr);
    return kExitUsage;
  }
  if (transcribe_command->parsed()) return run_transcribe(transcribe);
  if (stream_command->parsed()) return run_stream(stream);
  if (align_command->parsed()) return run_align(align);
  if (quantize_command->parsed()) return run_quantize(quantize);
  if (download_command->parsed()) return run_download(download);
  if (models_command->parsed()) return run_models(models);
  if (serve_command->parsed()) return run_serve(serve);
  return info_command->parsed() ? run_info(info) : run_bench(bench);
}

}  // namespace
}  // namespace qasr::app

int main(int argc, char** argv) {
  using namespace qasr::app;
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe becomes an OutputError
  try {
    return run(argc, argv);
  } catch (const OutputError& error) {
    if (error.reader_closed()) return kExitOk;
    print_error(error.what());
    return kExitInternal;
  } catch (const qasr::Error& error) {
    print_error(error.what());
    return exit_code(error.code());
  } catch (const std::bad_alloc&) {
    print_error("not enough memory");
    return kExitDevice;
  } catch (const std::exception& error) {
    print_error(error.what());
    return kExitInternal;
  }
}
