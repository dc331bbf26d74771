// Results go straight to the descriptor, so that a full disk is noticed and text appears at once; tables.
#include "output.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "printf_text.h"

namespace qasr::app {
namespace {

std::string stage_row(const char* name, double ms, double total_ms) {
  return printf_text("  %-16s %10.1f ms %6.1f %%\n", name, ms, total_ms > 0 ? 100.0 * ms / total_ms : 0.0);
}

}  // namespace

void print(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {  // a pipe that someone made non-blocking
      pollfd ready{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
      ::poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      throw OutputError(std::string("writing to standard output: ") + std::strerror(errno), errno == EPIPE);
    }
  }
}

void print_error(std::string_view message) {
  std::fprintf(stderr, "qasr: %.*s\n", static_cast<int>(message.size()), message.data());
}

std::string timing_table(const Transcript& transcript, double model_load_ms, double audio_decode_ms) {
  const Timings& t = transcript.timings;
  const double total_ms = t.preprocessing_ms + t.audio_encoding_ms + t.text_generation_ms + t.alignment_ms;
  // Each segment's first token is the result of its prefill, so decode steps are one fewer than tokens.
  const double decode_ms = t.text_generation_ms - t.prefill_ms;
  const double decode_steps = t.n_generated_tokens - static_cast<double>(transcript.segments.size());
  std::string table = stage_row("preprocessing", t.preprocessing_ms, total_ms);
  table += stage_row("audio encoding", t.audio_encoding_ms, total_ms);
  table += stage_row("text generation", t.text_generation_ms, total_ms);
  if (t.alignment_ms > 0) table += stage_row("word times", t.alignment_ms, total_ms);
  table += stage_row("total", total_ms, total_ms);
  table += printf_text("  prefill %.1f ms for %d prompt tokens, %d of them audio (%d frames)\n", t.prefill_ms,
                  t.n_prompt_tokens, t.n_audio_tokens, t.n_frames);
  table += printf_text("  %d tokens generated", t.n_generated_tokens);
  if (decode_ms > 0 && decode_steps > 0) table += printf_text(", %.1f tokens/s", 1000.0 * decode_steps / decode_ms);
  table += printf_text("\n  %.2f s of audio", transcript.duration_s);
  if (transcript.duration_s > 0 && total_ms > 0) {
    const double total_s = total_ms / 1000.0;
    table += printf_text(", real-time factor %.4f (%.1f times real time)", total_s / transcript.duration_s,
                    transcript.duration_s / total_s);
  }
  table += printf_text("\n  not included: model loading %.1f ms, media decoding %.1f ms\n", model_load_ms, audio_decode_ms);
  return table;
}

}  // namespace qasr::app
