// Start here: open a checkpoint, make a session, transcribe.
//
//   auto engine = qasr::Engine::open("path/to/Qwen3-ASR-0.6B");
//   qasr::Session session(engine);
//   qasr::Audio audio = qasr::load_audio("meeting.mp3");
//   std::cout << session.transcribe(audio.samples).text << "\n";
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "qasr/audio.h"
#include "qasr/error.h"
#include "qasr/export.h"
#include "qasr/options.h"
#include "qasr/transcript.h"

namespace qasr {

/// One file of a checkpoint that is already in memory.
struct ModelFile {
  std::string name;  ///< "config.json", "model.safetensors", ...
  std::span<const std::byte> bytes;
};

/// Tensors of a checkpoint that are stored alike.
struct StoredType {
  std::string name;  ///< "bf16", "q8_0", "mlx 4-bit, groups of 64"
  std::string held;  ///< what automatic weights on a CPU make of its matrices: "as stored", "q8"; "" for vectors
  int n_tensors = 0;
  std::uint64_t n_parameters = 0, bytes = 0;
};

/// One tensor of a checkpoint, under the engine's name for it.
struct TensorInfo {
  std::string name, stored;  ///< stored: as in StoredType
  std::vector<std::int64_t> shape;
  std::uint64_t bytes = 0;
};

/// Bytes of all weights in memory in a format; an estimate within some per cent (kernels pad rows to their width).
struct FormatMemory {
  WeightFormat format{};
  std::uint64_t bytes = 0;
};

/// What a checkpoint is, as `qasr info` prints it.
struct ModelInfo {
  std::string path;
  std::string container;  ///< "safetensors" or "gguf"
  std::string
      layout;  ///< of the tensor names: "official" (thinker.*), "transformers" (-hf), "bare" (no prefix), or the
               ///< program that writes such GGUF files: "llama.cpp", "qwen3-asr.cpp", "CrispASR", "transcribe.cpp"
  std::string dtype;                   ///< of the stored matrices: "bf16", "f16", "f32", "q8_0", ... or "mixed"
  std::vector<StoredType> types;       ///< most bytes first
  std::vector<TensorInfo> tensors;     ///< in the engine's order: encoder, decoder, head
  std::vector<FormatMemory> memory;    ///< for every WeightFormat
  std::string tokenizer;               ///< "byte-level BPE, 151704 tokens", or why there is none
  std::vector<std::string> languages;  ///< the checkpoint's own list; empty: it has none
  bool is_forced_aligner = false;
  std::uint64_t n_head_parameters = 0;  ///< 0 where the head is the embedding
  std::uint64_t n_parameters = 0, n_encoder_parameters = 0, n_decoder_parameters = 0, n_embedding_parameters = 0;
  std::uint64_t file_bytes = 0;
  std::uint64_t kv_cache_bytes_per_token = 0;
  int n_tensors = 0, n_shards = 0;
  int n_mels = 0, d_model = 0, encoder_layers = 0, encoder_heads = 0, encoder_d_ff = 0, conv_channels = 0;
  int hidden = 0, decoder_layers = 0, n_heads = 0, n_kv_heads = 0, head_dim = 0, d_ff = 0, vocab = 0;
  int max_positions = 0;
  std::vector<int> eos_token_ids;
  bool tied_head = false;
  bool is_demo = false;  ///< the demonstration model: synthetic voices only
  double recommended_max_segment_s = 0;
};

/// What an engine is doing, for monitoring.
struct EngineLoad {
  int n_requests = 0;   ///< requests and streams that have not ended
  int n_sequences = 0;  ///< that are encoded, prefilled or decoded together now
  int n_waiting = 0;    ///< sequences of segments under way that wait for room in the batch
  int max_batch = 0;
  int n_kv_pages = 0, n_kv_pages_used = 0;  ///< of the KV cache, 64 positions each; 0 before the first segment
  std::uint64_t n_decode_steps = 0;         ///< since the beginning
  std::uint64_t n_decode_rows = 0;          ///< sequences summed over all steps
};

/// A model placed on a backend: weights, tokenizer, configuration. Immutable; one Engine may serve any number of
/// sessions and requests (qasr/request.h) on any threads, which share one copy of the weights and are decoded together.
/// Files are memory-mapped where possible and must not change while the engine lives.
class QASR_API Engine {
 public:
  /// @param model_dir  a directory, a safetensors file or a GGUF file; official, transformers-native, MLX-quantised or
  /// GGUF
  ///                   (docs/formats.md)
  /// @throws Error kModel (names file, found, expected), kOutOfMemory, kDevice
  static std::shared_ptr<const Engine> open(const std::filesystem::path& model_dir, const EngineOptions& options = {});

  /// The same from files in memory, which must outlive the engine.
  static std::shared_ptr<const Engine> open(std::span<const ModelFile> files, const std::string& name,
                                            const EngineOptions& options = {});

  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  const ModelInfo& info() const noexcept;
  /// "cpu (avx2, 2 threads)"
  std::string backend_description() const;
  /// As of the last step, summed over all devices; any thread, never waits for computing.
  EngineLoad current_load() const;

  struct Impl;
  const Impl& impl() const noexcept { return *impl_; }

 private:
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Describes a checkpoint, a forced aligner's too, without loading its weights: headers, names and shapes are checked
/// against the configuration.
/// @param model  whatever Engine::open takes
/// @throws Error kModel  names what is wrong
QASR_API ModelInfo describe_model(const std::filesystem::path& model);
QASR_API ModelInfo describe_model(std::span<const ModelFile> files, const std::string& name);

/// Transcribes one recording per call. For progress, cancellation, streams and priorities see qasr/request.h.
class QASR_API Session {
 public:
  explicit Session(std::shared_ptr<const Engine> engine);
  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  /// Transcribes one recording.
  ///
  /// @param samples  mono PCM, f32 in [-1, 1], 16 kHz; any length, empty gives an empty transcript
  /// @param options  language, context text; defaults suit most recordings
  /// @return segments in order; times in seconds from samples[0]
  /// @throws Error   kInvalidArgument (unknown language, option out of range, NaN samples), kInput (a segment needs
  ///                 more positions than the model has; the message says the limit), kOutOfMemory (it needs more than
  ///                 SchedulerOptions::kv_cache_bytes), kDevice
  /// Blocks until done. Several calls at a time share the machine, also of one Session.
  Transcript transcribe(std::span<const float> samples, const TranscribeOptions& options = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace qasr
