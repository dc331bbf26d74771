// The official aligner divides Korean words by a dictionary of nouns (the L part) and what follows (the R part). The
// common particles, and the vowel rule that each obeys, find most of those divisions without the dictionary.
#include "text/korean_particles.h"

#include <algorithm>
#include <array>

namespace qasr {
namespace {

enum class After : unsigned char { kAny, kConsonant, kVowel, kVowelOrL };

struct Particle {
  std::u32string_view text;
  After after;
};

// Longer ones first.
constexpr std::array kParticles = {
    Particle{U"에게서", After::kAny},       Particle{U"으로서", After::kConsonant},
    Particle{U"으로써", After::kConsonant}, Particle{U"으로는", After::kConsonant},
    Particle{U"에서는", After::kAny},       Particle{U"에서도", After::kAny},
    Particle{U"에서", After::kAny},         Particle{U"에게", After::kAny},
    Particle{U"한테", After::kAny},         Particle{U"께서", After::kAny},
    Particle{U"까지", After::kAny},         Particle{U"부터", After::kAny},
    Particle{U"처럼", After::kAny},         Particle{U"보다", After::kAny},
    Particle{U"마다", After::kAny},         Particle{U"으로", After::kConsonant},
    Particle{U"에는", After::kAny},         Particle{U"에도", After::kAny},
    Particle{U"이나", After::kConsonant},   Particle{U"은", After::kConsonant},
    Particle{U"는", After::kVowel},         Particle{U"이", After::kConsonant},
    Particle{U"가", After::kVowel},         Particle{U"을", After::kConsonant},
    Particle{U"를", After::kVowel},         Particle{U"과", After::kConsonant},
    Particle{U"와", After::kVowel},         Particle{U"로", After::kVowelOrL},
    Particle{U"의", After::kAny},           Particle{U"에", After::kAny},
    Particle{U"도", After::kAny},           Particle{U"만", After::kAny},
};

constexpr char32_t kFirstSyllable = 0xAC00, kLastSyllable = 0xD7A3;
constexpr int kFinals = 28, kFinalL = 8;  // a syllable is 28 * (lead and vowel) + final; final 0 is none

bool is_syllable(char32_t c) { return c >= kFirstSyllable && c <= kLastSyllable; }

bool may_follow(After after, char32_t syllable) {
  const int final = static_cast<int>(syllable - kFirstSyllable) % kFinals;
  switch (after) {
    case After::kAny:
      return true;
    case After::kConsonant:
      return final != 0;
    case After::kVowel:
      return final == 0;
    case After::kVowelOrL:
      return final == 0 || final == kFinalL;
  }
  return false;
}

}  // namespace

std::size_t korean_particle_length(std::u32string_view word) noexcept {
  constexpr std::size_t kLeastStem = 2;
  for (const Particle& particle : kParticles) {
    if (word.size() < particle.text.size() + kLeastStem || !word.ends_with(particle.text)) continue;
    const std::u32string_view stem = word.substr(0, word.size() - particle.text.size());
    if (!std::all_of(stem.end() - kLeastStem, stem.end(), is_syllable)) continue;
    if (may_follow(particle.after, stem.back())) return particle.text.size();
  }
  return 0;
}

}  // namespace qasr
