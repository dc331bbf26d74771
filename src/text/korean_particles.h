// Korean particles: the end of a word between spaces that the official aligner makes a word of its own.
#pragma once

#include <cstddef>
#include <string_view>

namespace qasr {

/// Characters at the end of `word` that are a particle behind a stem of at least two syllables which that particle may
/// follow (after a final consonant or a vowel); 0 if there is none. An approximation without a dictionary.
std::size_t korean_particle_length(std::u32string_view word) noexcept;

}  // namespace qasr
