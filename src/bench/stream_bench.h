// `qasr bench --stream`: live streams of known speech on one engine. How late are words, what does an audio second
// cost, does it stay so?
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "qasr/engine.h"
#include "qasr/stream.h"

namespace qasr::bench {

/// A recording whose words are known.
struct KnownRecording {
  std::vector<float> samples;       ///< 16 kHz
  std::vector<std::string> words;   ///< lower case, letters and apostrophes only
  std::vector<double> word_ends_s;  ///< as many; empty: not known, no delays are reported
};

struct StreamBenchOptions {
  std::vector<KnownRecording>
      recordings;        ///< spoken one after the other, over and over; every stream begins with another
  double pause_s = 0.9;  ///< between them, of faint noise
  int n_streams = 1;
  double audio_s = 60;      ///< of each stream
  bool paced = true;        ///< false: the next samples come when everything before is done; no delays then
  double tokens_per_s = 0;  ///< > 0: answers have this length whatever the model says (made-up weights)
  StreamOptions stream{};   ///< no on_event
  std::function<void(std::string_view)> log{};
};

struct Percentiles {
  std::size_t n = 0;
  double p50 = 0, p95 = 0, p99 = 0;
};
Percentiles percentiles(std::vector<double> values);

struct StreamBenchReport {
  int n_streams = 0, chunk_ms = 0;
  double audio_s = 0, wall_s = 0;
  bool paced = true;
  std::size_t n_steps = 0, n_segments = 0, n_words = 0, n_words_found = 0;  ///< all streams
  Percentiles first_partial_s;     ///< from the beginning of speech in a stream to its first text
  Percentiles commit_delay_s;      ///< from the end of a word's audio to its commit, words that were recognised
  double compute_per_audio_s = 0;  ///< seconds of computing per second of audio, all streams
  double first_minute_per_audio_s = 0, last_minute_per_audio_s = 0;
  double tail_s = 0;                         ///< from the last sample to the end of the last stream
  double early_rss_mb = 0, late_rss_mb = 0;  ///< resident after two minutes (or a quarter) and at the end
  Timings timings;
  double encoded_rows_per_s = 0, prefilled_rows_per_s = 0, decoded_tokens_per_s = 0;  ///< of audio
};

/// @throws Error  what a stream fails with
StreamBenchReport run_stream_benchmark(const std::shared_ptr<const Engine>& engine, const StreamBenchOptions& options);

/// Every recording as a stream of its own, each push when everything before is done, against the offline text.
struct StreamTextReport {
  std::size_t n_recordings = 0, n_equal = 0;
  std::size_t n_words = 0, stream_edits = 0, offline_edits = 0;  ///< against the sentences
  std::vector<std::pair<std::string, std::string>> different;    ///< offline text, stream's
};
/// @param push_ms  audio of one push; 0: random, up to 1.5 s
StreamTextReport compare_stream_texts(const std::shared_ptr<const Engine>& engine, const StreamBenchOptions& options,
                                      int push_ms);

/// Lower case, letters and apostrophes; everything else separates words.
std::vector<std::string> plain_words(std::string_view text);

/// Pairs (index in `spoken`, index in `heard`) of equal words on a cheapest alignment.
std::vector<std::pair<std::size_t, std::size_t>> equal_words(const std::vector<std::string>& spoken,
                                                             const std::vector<std::string>& heard);

/// Insertions, deletions and replacements of words.
std::size_t word_edits(const std::vector<std::string>& spoken, const std::vector<std::string>& heard);

}  // namespace qasr::bench
