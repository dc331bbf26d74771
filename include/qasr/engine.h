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

/// What a checkpoint is, as `qasr info` prints it.
struct ModelInfo {
  std::string path;
  std::string layout;  ///< of the tensor names: "official" (thinker.*), "transformers" (-hf) or "bare" (no prefix)
  std::string dtype;   ///< of the stored matrices: "bf16", "f16", "f32" or "mixed"
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

/// A model placed on a backend: weights, tokenizer, configuration. Immutable; one Engine may serve any number of
/// sessions and requests (qasr/request.h) on any threads, which share one copy of the weights and are decoded together.
/// Files are memory-mapped where possible and must not change while the engine lives.
class QASR_API Engine {
 public:
  /// @param model_dir  directory in the official or the transformers-native layout
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

  struct Impl;
  const Impl& impl() const noexcept { return *impl_; }

 private:
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Describes a checkpoint without loading its weights.
/// @throws Error kModel
QASR_API ModelInfo describe_model(const std::filesystem::path& model_dir);

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
