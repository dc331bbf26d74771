// Cuts a long recording into pieces at quiet places: step 3 of the walk when no voice activity detector is used.
// Source: split_audio_into_chunks in the official qwen_asr package.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace qasr {

/// Part of a recording, in samples.
struct AudioPiece {
  std::size_t offset = 0;
  std::size_t length = 0;
};

/// Shorter pieces of a recording that had to be cut are padded with zeros behind to this length before the model sees
/// them (the official 0.5 s); a recording that fits in one piece is not. The caller pads: pieces refer to real samples.
inline constexpr std::size_t kMinPieceSamples = 8000;

/// Pieces in order without gap or overlap, at least one sample each; an empty recording gives one empty piece.
///
/// While more than `max_piece_samples` remain, the recording is cut within 5 s of that limit: at the quietest sample of
/// the quietest 100 ms window (the first of each, by absolute value). A piece may therefore exceed the limit by 5 s.
///
///   samples            [n_samples] mono, 16 kHz
///   max_piece_samples  >= 1
///
/// Numerics: window sums in f64 from prefix sums, so windows of zeros compare equal; the official package sums in f32
/// and could choose another of two windows that differ by its rounding.
/// @throws Error kInvalidArgument  max_piece_samples is 0
std::vector<AudioPiece> energy_split(std::span<const float> samples, std::size_t max_piece_samples);

/// Index of the quietest sample of the quietest 100 ms of a region (the first of each, by absolute value); of the whole
/// region if it is shorter. The region is not empty.
std::size_t quietest_point(std::span<const float> region);

}  // namespace qasr
