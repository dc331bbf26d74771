// What `qasr transcribe` tells on standard error while it works: one line that is rewritten on a terminal, a line per
// finished recording otherwise.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "input_files.h"

namespace qasr::app {

class Progress {
 public:
  enum class Mode { kOff, kLines, kTerminal };
  /// Files weigh by their size until their length is known.
  Progress(Mode mode, const std::vector<InputFile>& inputs);

  struct Running {
    std::size_t input = 0;
    double done_s = 0, expected_s = 0;  ///< expected 0: unknown
  };
  /// At most a few times a second does something.
  void update(const std::vector<Running>& running);
  /// One recording ended; `what` says how.
  void finish(std::size_t input, double audio_s, const std::string& what);
  /// Takes the line away, so that other messages can be printed.
  void clear();

  double elapsed_s() const;
  double audio_s() const noexcept { return audio_s_; }

 private:
  double fraction(const std::vector<Running>& running) const;

  Mode mode_;
  const std::vector<InputFile>& inputs_;
  std::vector<double> weights_;  // [inputs], sum 1
  double finished_weight_ = 0, audio_s_ = 0;
  std::size_t n_finished_ = 0;
  bool line_shown_ = false;
  std::chrono::steady_clock::time_point start_, last_update_;
};

/// "1:02:03" or "2:03".
std::string duration_text(double seconds);
std::string format_text(const char* pattern, ...) __attribute__((format(printf, 1, 2)));

}  // namespace qasr::app
