// TextDeltas: what a request shows while it decodes -> pieces that are only ever appended.
//
// The engine may withdraw text of a segment that looped (TextUpdate::replaces). What was sent cannot be withdrawn, so:
// text that repeats what is directly before it is held back until it goes on differently, and if sent text is withdrawn
// after all, the new text continues at the last word on which both agree. The pieces always join to text().
#pragma once

#include <string>
#include <string_view>

#include "qasr/request.h"

namespace qasr::server {

class TextDeltas {
 public:
  /// @return what to send now, perhaps ""
  std::string update(const TextUpdate& update);
  /// The segment is complete with this text.
  std::string end_segment(std::size_t segment, const std::string& segment_text);
  /// All that was returned so far.
  const std::string& text() const noexcept { return text_; }

 private:
  void open(std::size_t segment);
  std::string send_up_to(std::size_t n_bytes);

  std::string text_;         ///< sent
  std::size_t segment_ = 0;  ///< that is open
  bool is_open_ = false;
  std::string current_;     ///< text of the open segment
  std::size_t n_sent_ = 0;  ///< bytes of it that were sent
};

/// Bytes at the end of `text` that repeat what is directly before them, whole rounds of up to 64 characters: 0 unless
/// at least one whole round is repeated.
std::size_t repeated_tail_bytes(std::string_view text);

}  // namespace qasr::server
