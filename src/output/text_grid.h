// TextGrid: annotations of recordings for Praat.
#pragma once

#include <string>

#include "qasr/transcript.h"

namespace qasr {

/// A tier of segments, and one of words where there are words; a pair for each channel. Long text format, UTF-8.
std::string text_grid(const Transcript& transcript);

}  // namespace qasr
