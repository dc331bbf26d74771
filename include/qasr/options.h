// What callers can choose: per engine (how the model is placed) and per transcription.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "qasr/export.h"

namespace qasr {

class Aligner;

/// How weight matrices are held in memory. Norms, biases and the first convolution are always exact.
enum class WeightFormat {
  kAuto,    ///< kQ8 on CPUs, kBf16 on GPUs
  kStored,  ///< what the checkpoint stores: bf16 stays bf16, everything else becomes f32
  kF32,     ///< widened to f32
  kBf16,    ///< rounded to bf16 (nothing is lost when the checkpoint is bf16)
  kQ8,      ///< 8-bit integers in blocks of 32 with a scale each; activations are rounded to 8 bits in blocks of 32
  kQ4,      ///< decoder layers in 4 bits, groups of 64 with scale and bias; encoder, embedding and head as kQ8
  kQ4G32,   ///< the same with groups of 32: closer, 11 % larger
  kFp8,     ///< GPUs of compute capability 9.0 only: e4m3 with a scale per row, multiplied with activations of the same
            ///< kind
};

/// How keys and values of past tokens are held in memory.
enum class KvCacheFormat {
  kAuto,  ///< kF32 with f32 weights, else kBf16
  kF32,   ///< exact
  kBf16,  ///< half the memory; keys and values are rounded to 8 bits of mantissa
  kFp8,   ///< GPUs only: half of bf16's memory; e4m3 with a scale per position and head
};

/// Which implementation computes.
enum class BackendKind {
  kAuto,       ///< kCuda where there is a GPU that can do what the options ask for, else kCpu; the log says which
  kCpu,        ///< threads and the best instruction set of this machine
  kCuda,       ///< an NVIDIA GPU: bf16, or weights in q8 or fp8 and KV cache in fp8; needs a library with CUDA
  kReference,  ///< plain f32 loops, the oracle of the tests; slow
};

/// How one engine shares its machine between everything that is transcribed at a time (docs/scheduler.md).
struct SchedulerOptions {
  /// Most sequences that decode together. More give more text per second and more time per token.
  /// 0: 8 on a CPU, 64 on a GPU. 1 transcribes one segment after the other.
  int max_batch = 0;
  /// Most memory for keys and values of all sequences together. 0: half of what is available when the model is loaded,
  /// but no more than max_batch sequences of common length use, or one of the model's full length. On a CPU only what
  /// is used becomes resident.
  std::uint64_t kv_cache_bytes = 0;
  /// Most rows (audio tokens or prompt tokens) computed between two decode steps while somebody is live, so that
  /// preparing a long segment does not make live text wait; also how soon a cancellation is noticed. Rounded up to
  /// whole windows of the encoder (8 s, 104 rows). 0: 104 on a CPU, 1024 on a GPU, and more while nobody is live.
  int max_rows_between_steps = 0;
};

/// EngineOptions::cuda_device: every GPU. Each has a copy of the model, and requests are shared among them. A GPU that
/// fails for good fails its requests; new ones go to the others.
inline constexpr int kAllCudaDevices = -1;

struct EngineOptions {
  BackendKind backend = BackendKind::kCpu;
  int cuda_device = 0;  ///< which GPU, of those CUDA lists, or kAllCudaDevices
  /// Copies of the model on each device, each with memory and a scheduler of its own; a request is given to the copy
  /// with the least to do. 1 is best except in tests of just that.
  int copies_per_device = 1;
  WeightFormat weights = WeightFormat::kAuto;
  KvCacheFormat kv_cache = KvCacheFormat::kAuto;
  int n_threads = 0;  ///< 0: one per physical core the process may use (affinity, CPU quota of its control groups)
  /// "generic", "avx2", "avx2-vnni", "avx512", "avx512-vnni", "avx512-bf16", "avx512-amx", "neon", "neon-dotprod",
  /// "neon-i8mm"; empty: the best one supported. "avx512-bf16" also rounds queries and softmax weights to bf16 where
  /// the KV cache is bf16 (docs/fidelity.md).
  std::string cpu_isa{};
  /// Directory that keeps packed weights, so that later engines map them instead of packing them again (docs/cache.md);
  /// made if missing. Empty: nothing is kept. Ignored for files in memory.
  std::filesystem::path cache_dir{};
  /// Receives warnings and progress, one line without newline at a time; empty: silence.
  std::function<void(std::string_view)> log{};
  SchedulerOptions scheduler{};
};

/// How the last, incomplete one-second chunk of a recording shorter than one second is convolved.
/// Longer recordings are not affected.
enum class ShortClipPadding {
  kOfficial,      ///< at its own length (QwenLM/Qwen3-ASR)
  kTransformers,  ///< padded with zeros to 100 frames (Hugging Face transformers)
};

/// How tokens are chosen. The defaults take the most likely token (greedy), as the official package does. Semantics are
/// those of the logits processors and warpers of Hugging Face transformers, in their order: repetition penalty,
/// no-repeat n-grams, temperature, top-k, top-p. "The answer so far" is what the model generated for this segment; the
/// prompt does not count, so that context, hotwords and end tokens are not penalised.
struct SamplingOptions {
  /// 0: the most likely token. Above: logits are divided by it and a token is drawn. At most 2.
  double temperature = 0;
  /// Draw from the top_k most likely tokens only; 0: all. Needs temperature > 0.
  int top_k = 0;
  /// Draw from the smallest set of most likely tokens whose probabilities reach top_p; 1: all. Needs temperature > 0.
  double top_p = 1;
  /// Draws repeat with the same seed, whatever else is transcribed at the time. Segment n draws with (seed, n).
  std::uint64_t seed = 0;
  /// Positive logits of tokens in the answer so far are divided by it, negative ones multiplied. 1: off.
  double repetition_penalty = 1;
  /// No n-gram of this many tokens occurs twice in an answer. 0: off.
  int no_repeat_ngram_size = 0;
};

/// What is done against answers that repeat themselves or run on (docs/scheduler.md).
struct GuardOptions {
  /// Stop an answer that loops or has more tokens than its audio can hold.
  bool detect_repetition = true;
  /// Transcribe such a segment again: cut in two at its quietest point, then with a repetition penalty and without
  /// repeated n-grams, then with temperature. What happened is in Segment::notes.
  bool recover = true;
  /// More tokens than this per second of audio (and 64 besides) count as running on. Speech rarely exceeds 8.
  double max_tokens_per_s = 16;
};

struct TranscribeOptions {
  /// "auto", an English language name ("German") or an ISO code ("de"); see qasr::languages().
  std::string language = "auto";
  /// Free text that biases recognition: topic, names, vocabulary. Control tokens in it are taken literally.
  std::string context{};
  /// Words and names that may occur. They follow the context as a line "Vocabulary: a, b, c"; see hotword_context().
  std::vector<std::string> hotwords{};
  /// Most tokens generated per segment; 0: a budget from the segment's length (docs/model.md).
  int max_tokens = 0;
  /// Longest piece of audio given to the model at once, in seconds; longer recordings are cut at the quietest
  /// point near the limit. 0: what the checkpoint recommends (official checkpoints: 1200).
  double max_segment_s = 0;
  /// Zero-pads recordings shorter than 0.5 s to 8,000 samples, which makes answers on very short clips more
  /// robust. false: exactly what the official package does (clips of up to 200 samples then give no text).
  bool pad_short_clips = true;
  ShortClipPadding short_clip_padding = ShortClipPadding::kOfficial;
  SamplingOptions sampling{};
  GuardOptions guards{};
  /// Gives every word times of its own (Segment::words), with this forced aligner; qasr/align.h. Null: no word times.
  std::shared_ptr<const Aligner> aligner{};
  /// Receives text as it is decoded, in whole UTF-8 characters; concatenated, the pieces are `Transcript::text`
  /// unless the clean-up of repetitions or the recovery from a loop changed it. Called on the thread that called
  /// transcribe(). Session::transcribe only; a Request has callbacks of its own.
  std::function<void(std::string_view)> on_text{};
};

/// The system text that `context` and `hotwords` become: the context, a line break if there are both, then
/// "Vocabulary: " and the words joined by ", ". White space around words is removed, empty words are left out.
QASR_API std::string hotword_context(std::string_view context, const std::vector<std::string>& hotwords);

}  // namespace qasr
