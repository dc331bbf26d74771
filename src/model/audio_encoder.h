// Audio encoder: log-mel -> audio embeddings in the decoder's width. Hop 6 of the walk.
//
//   [n_mels, n_frames]  cut into chunks of 2 n_window = 100 frames
//   conv stem           3 convolutions per chunk, conv_out, sinusoidal positions 0..12 restarting in every chunk
//   transformer         pre-LayerNorm layers; attention inside windows of n_window_infer = 800 frames (104 tokens)
//   projector           ln_post, proj1, GELU, proj2
//
// Attention never crosses a window, so windows are encoded in groups of bounded size: memory does not grow with the
// length of the recording. Source: Qwen3ASRAudioEncoder (QwenLM/Qwen3-ASR; Hugging Face transformers 5.17).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "audio/log_mel.h"
#include "backend/backend.h"
#include "backend/device_tensor.h"
#include "model/front_end.h"
#include "model/weight_packer.h"
#include "qasr/options.h"
#include "weights/model_config.h"

namespace qasr {

/// Sees intermediate results, for tests: stage is "stem", "layer.0" ... "layer.N-1", "ln_post" or "output"; rows are
/// [first_row, first_row + view.rows()) of the packed batch.
using EncoderTap = std::function<void(std::string_view stage, std::int64_t first_row, ConstTensorView rows)>;

/// Activations of one caller, reused from call to call. f32, or where it says act, the backend's activation type.
struct EncoderWorkspace {
  std::vector<float> host_chunks;  // [n_chunks, n_mels, width]
  DeviceTensor chunks;             // [n_chunks, n_mels, width]
  DeviceTensor stem;               // [n_chunks * tokens_per_chunk, conv_channels * mel_rows] act
  DeviceTensor stem_out;           // [n_chunks * tokens_per_chunk, d_model] act
  DeviceTensor x;                  // [n_tokens, d_model]
  DeviceTensor normed;             // [n_tokens, d_model] act
  DeviceTensor qkv;                // [n_tokens, 3 * d_model] act
  DeviceTensor attention;          // [n_tokens, d_model] act; also the projector's hidden layer
  DeviceTensor ff;                 // [n_tokens, d_ff] act
  DeviceTensor tables;             // RowBlocks::tables of the windows
  /// Most rows of a pass whose layers are recorded and replayed, where the backend does that; the caller's choice. The
  /// tensors of such a pass have some rows more, which hold nothing and which no row depends on.
  std::int64_t most_recorded_rows = 512;
};

class AudioEncoder {
 public:
  AudioEncoder(const AudioEncoderConfig& config, const WeightPacker& weights);

  /// Rows the encoder makes of n_frames frames: one per 8 frames, rounded up, counted per chunk.
  static int n_audio_tokens(const AudioEncoderConfig& config, int n_frames);
  int n_audio_tokens(int n_frames) const { return n_audio_tokens(config_, n_frames); }

  /// Encodes a batch of recordings of any lengths.
  ///   features  log-mel of each recording, n_mels rows each
  ///   padding   how a recording of less than one chunk is convolved
  ///   out       resized to [sum of n_audio_tokens, output_dim] f32, recordings one after the other
  /// A recording's rows do not depend on the others in the batch.
  void forward(std::span<const AudioFeatures> features, ShortClipPadding padding, EncoderWorkspace& workspace,
               DeviceTensor& out, const EncoderTap& tap = {}) const;
  /// The same with features in host memory.
  void forward(std::span<const LogMelSpectrogram* const> features, ShortClipPadding padding,
               EncoderWorkspace& workspace, DeviceTensor& out, const EncoderTap& tap = {}) const;

  /// 100 frames or fewer of one recording.
  struct Chunk {
    const AudioFeatures* features;
    int first_frame;
    int n_frames;  ///< valid frames
    int n_tokens;  ///< valid tokens
  };
  /// Chunks that attend to each other.
  struct Window {
    std::vector<Chunk> chunks;
    int width = 0;  ///< frames each chunk is padded to
    std::int64_t n_tokens = 0;
  };

  /// The work of forward() in pieces: the windows of all recordings in order. Refers to `features`.
  std::vector<Window> cut_windows(std::span<const AudioFeatures> features, ShortClipPadding padding) const;
  /// How many of these windows share one pass: at least one, as many as are of one width and have max_rows rows.
  static std::size_t count_windows(std::span<const Window> windows, std::int64_t max_rows);
  /// Encodes windows of one width in one pass.    out [sum of n_tokens, output_dim] f32
  void encode_windows(std::span<const Window> windows, EncoderWorkspace& workspace, TensorView out) const {
    encode_group(windows, 0, workspace, out, {});
  }

  /// A pass over windows of one width, computed in slices.
  struct Pass {
    std::vector<Window> windows;
    std::size_t next_chunk = 0, next_layer = 0;  ///< what is computed
    std::int64_t next_row = 0;                   ///< of next_chunk
  };
  /// encode_windows up to where `pause` says so, which is asked between chunks of the stem and between layers. Other
  /// passes may come in between, with workspaces of their own.    out [sum of n_tokens, output_dim] f32
  /// @return true when the pass is done: `out` holds the bits that encode_windows gives
  bool encode_slice(Pass& pass, EncoderWorkspace& workspace, TensorView out, const std::function<bool()>& pause) const;

  /// Encodes one window that grows from call to call: the stem's rows of chunks that were complete before are kept.
  ///   n_known    chunks of the window, from the first on, whose rows `stem` holds already
  ///   stem       made by the first call; afterwards it holds the rows of all chunks of the window
  ///   out        [n_tokens, output_dim] f32: the bits that encode_windows gives
  void encode_growing_window(const Window& window, std::size_t n_known, DeviceTensor& stem, EncoderWorkspace& workspace,
                             TensorView out) const;

  const AudioEncoderConfig& config() const { return config_; }

 private:
  struct Layer {
    DeviceTensor attention_norm_weight, attention_norm_bias;  // [d_model]  self_attn_layer_norm
    std::unique_ptr<LinearWeight> qkv;                        // [3 * d_model, d_model]
    std::unique_ptr<LinearWeight> attention_out;              // [d_model, d_model]  out_proj
    DeviceTensor ff_norm_weight, ff_norm_bias;                // [d_model]  final_layer_norm
    std::unique_ptr<LinearWeight> fc1;                        // [d_ff, d_model]
    std::unique_ptr<LinearWeight> fc2;                        // [d_model, d_ff]
  };
  void encode_group(std::span<const Window> windows, std::int64_t first_row, EncoderWorkspace& workspace,
                    TensorView out, const EncoderTap& tap) const;
  void fill_chunks(std::span<const Window> windows, EncoderWorkspace& workspace, TensorView chunks) const;
  std::int64_t padded_rows(std::int64_t n_rows, const EncoderWorkspace& workspace) const;
  TensorView resize_x(std::int64_t n_rows, EncoderWorkspace& workspace) const;
  void run_layers(std::span<const std::int32_t> window_begin, std::int64_t first_row, EncoderWorkspace& workspace,
                  TensorView out, const EncoderTap& tap) const;
  TensorView run_recorded(RowBlocks windows, EncoderWorkspace& workspace) const;
  void finish_layers(std::int64_t first_row, EncoderWorkspace& workspace, TensorView out, const EncoderTap& tap) const;
  void embed_chunks(std::span<const Window> windows, EncoderWorkspace& workspace, TensorView x) const;
  void run_layer(const Layer& layer, const RowBlocks& windows, EncoderWorkspace& workspace) const;
  TensorView run_post_norm(EncoderWorkspace& workspace, DType dtype) const;
  TensorView run_proj1(ConstTensorView normed, EncoderWorkspace& workspace) const;

  AudioEncoderConfig config_;
  Backend& backend_;
  std::unique_ptr<ConvStemWeight> conv_stem_;
  std::unique_ptr<LinearWeight> conv_out_;  // [d_model, conv_channels * mel_rows]
  DeviceTensor positions_;                  // [tokens_per_chunk, d_model]
  std::vector<Layer> layers_;
  DeviceTensor post_norm_weight_, post_norm_bias_;  // [d_model]  ln_post
  std::unique_ptr<LinearWeight> proj1_;             // [d_model, d_model]
  std::unique_ptr<LinearWeight> proj2_;             // [output_dim, d_model]
};

/// Sinusoidal positions: sines in the first half of a row, cosines in the second.
///   [n_positions, dim] f32. Source: SinusoidsPositionEmbedding in Hugging Face transformers.
std::vector<float> sinusoidal_positions(int n_positions, int dim);

}  // namespace qasr
