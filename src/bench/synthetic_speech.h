// Something to transcribe where the model's weights are made up and only time matters.
#pragma once

#include <cstddef>
#include <vector>

namespace qasr::bench {

/// Tones that rise and fall a few times a second, and noise: the same samples on every machine up to rounding.
std::vector<float> synthetic_speech(std::size_t n_samples);

}  // namespace qasr::bench
