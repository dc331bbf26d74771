// What callers can choose: per engine (how the model is placed) and per transcription.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "qasr/export.h"

namespace qasr {

/// How weight matrices are held in memory. Norms, biases and the first convolution are always exact.
enum class WeightFormat {
  kAuto,    ///< kQ8 on CPUs, kBf16 on GPUs
  kStored,  ///< what the checkpoint stores: bf16 stays bf16, everything else becomes f32
  kF32,     ///< widened to f32
  kBf16,    ///< rounded to bf16 (nothing is lost when the checkpoint is bf16)
  kQ8,      ///< 8-bit integers in blocks of 32 with a scale each; activations are rounded to 8 bits in blocks of 32
  kQ4,      ///< decoder layers in 4 bits, groups of 64 with scale and bias; encoder, embedding and head as kQ8
  kQ4G32,   ///< the same with groups of 32: closer, 11 % larger
  kFp8,     ///< GPUs of compute capability 9.0 only: e4m3 with a scale per row, multiplied with activations of the same kind
};

/// How keys and values of past tokens are held in memory.
enum class KvCacheFormat {
  kAuto,  ///< kF32 with f32 weights, else kBf16
  kF32,   ///< exact
  kBf16,  ///< half the memory; keys and values are rounded to 8 bits of mantissa
  kFp8,   ///< GPUs only: a quarter of the memory; e4m3 with a scale per position and head
};

/// Which implementation computes.
enum class BackendKind {
  kAuto,       ///< kCuda where there is a GPU that can do what the options ask for, else kCpu; the log says which
  kCpu,        ///< threads and the best instruction set of this machine
  kCuda,       ///< an NVIDIA GPU: weights, activations and KV cache in bf16; needs a library built with CUDA
  kReference,  ///< plain f32 loops, the oracle of the tests; slow
};

struct EngineOptions {
  BackendKind backend = BackendKind::kCpu;
  int cuda_device = 0;  ///< which GPU, of those CUDA lists
  WeightFormat weights = WeightFormat::kAuto;
  KvCacheFormat kv_cache = KvCacheFormat::kAuto;
  int n_threads = 0;  ///< 0: one per physical core the process may use (affinity, CPU quota of its control groups)
  /// "generic", "avx2", "avx2-vnni", "avx512", "avx512-vnni", "neon", "neon-dotprod", "neon-i8mm"; empty: the best one
  /// supported.
  std::string cpu_isa{};
  /// Directory that keeps packed weights, so that later engines map them instead of packing them again (docs/cache.md);
  /// made if missing. Empty: nothing is kept. Ignored for files in memory.
  std::filesystem::path cache_dir{};
  /// Receives warnings and progress, one line without newline at a time; empty: silence.
  std::function<void(std::string_view)> log{};
};

/// How the last, incomplete one-second chunk of a recording shorter than one second is convolved.
/// Longer recordings are not affected.
enum class ShortClipPadding {
  kOfficial,      ///< at its own length (QwenLM/Qwen3-ASR)
  kTransformers,  ///< padded with zeros to 100 frames (Hugging Face transformers)
};

struct TranscribeOptions {
  /// "auto", an English language name ("German") or an ISO code ("de"); see qasr::languages().
  std::string language = "auto";
  /// Free text that biases recognition: topic, names, vocabulary. Control tokens in it are taken literally.
  std::string context{};
  /// Most tokens generated per segment; 0: a budget from the segment's length (docs/model.md).
  int max_tokens = 0;
  /// Longest piece of audio given to the model at once, in seconds; longer recordings are cut at the quietest
  /// point near the limit. 0: what the checkpoint recommends (official checkpoints: 1200).
  double max_segment_s = 0;
  /// Zero-pads recordings shorter than 0.5 s to 8,000 samples, which makes answers on very short clips more
  /// robust. false: exactly what the official package does (clips of up to 200 samples then give no text).
  bool pad_short_clips = true;
  ShortClipPadding short_clip_padding = ShortClipPadding::kOfficial;
  /// Receives text as it is decoded, in whole UTF-8 characters; concatenated, the pieces are `Transcript::text`
  /// unless the clean-up of repetitions changed it. Called on the thread that called transcribe().
  std::function<void(std::string_view)> on_text{};
};

}  // namespace qasr
