// Everything the program prints: results to standard output with errors noticed, the timing table.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "qasr/transcript.h"

namespace qasr::app {

/// Standard output cannot take results. `reader_closed()` is the reader's own decision (`qasr ... | head`), no failure.
class OutputError : public std::runtime_error {
 public:
  OutputError(const std::string& message, bool reader_closed)
      : std::runtime_error(message), reader_closed_(reader_closed) {}
  bool reader_closed() const noexcept { return reader_closed_; }

 private:
  bool reader_closed_;
};

/// Writes to standard output at once, without a buffer, so that text appears as it is decoded.
/// @throws OutputError  everything that write(2) reports: disk full, closed pipe, closed descriptor
void print(std::string_view text);

/// One line on standard error: "qasr: MESSAGE".
void print_error(std::string_view message);

/// The table of `--timings`: three stages in ms and per cent, tokens, tokens per second, real-time factor.
///   model_load_ms, audio_decode_ms  outside the stages, measured by the program
std::string timing_table(const Transcript& transcript, double model_load_ms, double audio_decode_ms);

}  // namespace qasr::app
