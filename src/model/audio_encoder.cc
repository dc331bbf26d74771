// See audio_encoder.h. The order of the functions is the order of the computation.
#include "model/audio_encoder.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

namespace qasr {
namespace {

constexpr int kConvs = 3;
constexpr MatrixRole kRole = MatrixRole::kEncoder;
constexpr std::size_t kSliceChunks = 2;     // of the stem in one go
constexpr std::int64_t kLeastTable = 1024;  // elements, so that tables of small passes keep their address

}  // namespace

std::vector<float> sinusoidal_positions(int n_positions, int dim) {
  const int half = dim / 2;
  std::vector<float> table(static_cast<std::size_t>(n_positions) * static_cast<std::size_t>(dim));
  for (int pos = 0; pos < n_positions; ++pos) {
    float* row = table.data() + static_cast<std::ptrdiff_t>(pos) * dim;
    for (int i = 0; i < half; ++i) {
      const double angle = pos * std::exp(-i * std::log(10000.0) / (half - 1));
      row[i] = static_cast<float>(std::sin(angle));
      row[half + i] = static_cast<float>(std::cos(angle));
    }
  }
  return table;
}

AudioEncoder::AudioEncoder(const AudioEncoderConfig& config, const WeightPacker& weights)
    : config_(config), backend_(weights.backend()) {
  const std::string tower = "audio_tower.";
  const auto vector = [&](const std::string& name) { return weights.vector(tower + name); };
  const auto linear = [&](const std::string& name) {
    return weights.linear(kRole, {tower + name + ".weight"}, {tower + name + ".bias"});
  };
  conv_stem_ = weights.conv_stem(kRole, tower + "conv2d");
  conv_out_ = weights.linear(kRole, {tower + "conv_out.weight"});

  const int tokens_per_chunk = static_cast<int>(conv_out_length(config.chunk_frames(), kConvs));
  const std::vector<float> positions = sinusoidal_positions(tokens_per_chunk, config.d_model);
  backend_.upload(positions.data(), positions_.resize(backend_, {tokens_per_chunk, config.d_model}));

  for (int index = 0; index < config.n_layers; ++index) {
    const std::string layer = "layers." + std::to_string(index) + ".", attn = layer + "self_attn.";
    const std::string q = tower + attn + "q_proj.", k = tower + attn + "k_proj.", v = tower + attn + "v_proj.";
    layers_.push_back(
        {.attention_norm_weight = vector(layer + "self_attn_layer_norm.weight"),
         .attention_norm_bias = vector(layer + "self_attn_layer_norm.bias"),
         .qkv = weights.linear(kRole, {q + "weight", k + "weight", v + "weight"}, {q + "bias", k + "bias", v + "bias"}),
         .attention_out = linear(attn + "out_proj"),
         .ff_norm_weight = vector(layer + "final_layer_norm.weight"),
         .ff_norm_bias = vector(layer + "final_layer_norm.bias"),
         .fc1 = linear(layer + "fc1"),
         .fc2 = linear(layer + "fc2")});
  }
  post_norm_weight_ = vector("ln_post.weight");
  post_norm_bias_ = vector("ln_post.bias");
  proj1_ = linear("proj1");
  proj2_ = linear("proj2");
}

int AudioEncoder::n_audio_tokens(const AudioEncoderConfig& config, int n_frames) {
  const int chunk = config.chunk_frames();
  return static_cast<int>(n_frames / chunk * conv_out_length(chunk, kConvs) +
                          conv_out_length(n_frames % chunk, kConvs));
}

void AudioEncoder::forward(std::span<const LogMelSpectrogram* const> features, ShortClipPadding padding,
                           EncoderWorkspace& workspace, DeviceTensor& out, const EncoderTap& tap) const {
  std::vector<AudioFeatures> views;
  for (const LogMelSpectrogram* recording : features) {
    views.push_back({.n_mels = recording->n_mels, .n_frames = recording->n_frames, .host = recording->values.data()});
  }
  forward(views, padding, workspace, out, tap);
}

void AudioEncoder::forward(std::span<const AudioFeatures> features, ShortClipPadding padding,
                           EncoderWorkspace& workspace, DeviceTensor& out, const EncoderTap& tap) const {
  const std::vector<Window> windows = cut_windows(features, padding);
  std::int64_t n_tokens = 0;
  for (const Window& window : windows) n_tokens += window.n_tokens;
  const TensorView rows = out.resize(backend_, {n_tokens, config_.output_dim});

  std::int64_t first_row = 0;
  for (std::span<const Window> left = windows; !left.empty();) {
    const std::span<const Window> group = left.first(count_windows(left, backend_.preferred_rows()));
    std::int64_t group_tokens = 0;
    for (const Window& window : group) group_tokens += window.n_tokens;
    encode_group(group, first_row, workspace, rows.slice_rows(first_row, group_tokens), tap);
    first_row += group_tokens;
    left = left.subspan(group.size());
  }
}

std::size_t AudioEncoder::count_windows(std::span<const Window> windows, std::int64_t max_rows) {
  std::int64_t n_rows = windows.front().n_tokens;
  std::size_t count = 1;
  while (count < windows.size() && windows[count].width == windows[0].width &&
         n_rows + windows[count].n_tokens <= max_rows) {
    n_rows += windows[count++].n_tokens;
  }
  return count;
}

// Windows start at multiples of n_window_infer frames; all chunks of a recording are padded to its longest chunk.
std::vector<AudioEncoder::Window> AudioEncoder::cut_windows(std::span<const AudioFeatures> features,
                                                            ShortClipPadding padding) const {
  const int chunk_frames = config_.chunk_frames();
  const std::size_t chunks_per_window = static_cast<std::size_t>(std::max(1, config_.n_window_infer / chunk_frames));
  std::vector<Window> windows;
  for (const AudioFeatures& recording : features) {
    QASR_CHECK(recording.n_mels == config_.n_mels && recording.n_frames >= 0);
    const bool own_width = recording.n_frames < chunk_frames && padding == ShortClipPadding::kOfficial;
    Window window;
    for (int frame = 0; frame < recording.n_frames; frame += chunk_frames) {
      const int n_frames = std::min(chunk_frames, recording.n_frames - frame);
      const int n_tokens = static_cast<int>(conv_out_length(n_frames, kConvs));
      window.width = own_width ? n_frames : chunk_frames;
      window.n_tokens += n_tokens;
      window.chunks.push_back({&recording, frame, n_frames, n_tokens});
      if (window.chunks.size() == chunks_per_window || frame + chunk_frames >= recording.n_frames) {
        windows.push_back(std::move(window));
        window = {};
      }
    }
  }
  return windows;
}

void AudioEncoder::encode_group(std::span<const Window> windows, std::int64_t first_row, EncoderWorkspace& workspace,
                                TensorView out, const EncoderTap& tap) const {
  std::vector<std::int32_t> window_begin = {0};
  for (const Window& window : windows) {
    window_begin.push_back(window_begin.back() + static_cast<std::int32_t>(window.n_tokens));
  }

  const TensorView x = resize_x(window_begin.back(), workspace);
  embed_chunks(windows, workspace, x);
  if (tap) tap("stem", first_row, x);
  run_layers(window_begin, first_row, workspace, out, tap);
}

void AudioEncoder::encode_growing_window(const Window& window, std::size_t n_known, DeviceTensor& stem,
                                         EncoderWorkspace& workspace, TensorView out) const {
  const std::int64_t most_rows =
      config_.n_window_infer / config_.chunk_frames() * conv_out_length(config_.chunk_frames(), kConvs);
  if (stem.view().data == nullptr) stem.resize(backend_, {std::max(most_rows, window.n_tokens), config_.d_model});
  std::vector<std::int32_t> all_rows;
  for (std::int32_t row = 0; row < window.n_tokens; ++row) all_rows.push_back(row);

  Window fresh{.width = window.width};
  std::int32_t n_known_rows = 0;
  for (std::size_t chunk = 0; chunk < window.chunks.size(); ++chunk) {
    if (chunk < n_known) {
      n_known_rows += window.chunks[chunk].n_tokens;
    } else {
      fresh.chunks.push_back(window.chunks[chunk]);
      fresh.n_tokens += window.chunks[chunk].n_tokens;
    }
  }
  if (!fresh.chunks.empty()) {
    const TensorView x = resize_x(fresh.n_tokens, workspace);
    embed_chunks({&fresh, 1}, workspace, x);
    backend_.scatter_rows(x, std::span(all_rows).subspan(static_cast<std::size_t>(n_known_rows)), stem.view());
  }
  backend_.gather_rows(stem.view(), all_rows, resize_x(window.n_tokens, workspace));
  run_layers(std::vector<std::int32_t>{0, static_cast<std::int32_t>(window.n_tokens)}, 0, workspace, out, {});
}

bool AudioEncoder::encode_slice(Pass& pass, EncoderWorkspace& workspace, TensorView out,
                                const std::function<bool()>& pause) const {
  std::vector<std::int32_t> window_begin = {0};
  std::vector<const Chunk*> chunks;
  for (const Window& window : pass.windows) {
    window_begin.push_back(window_begin.back() + static_cast<std::int32_t>(window.n_tokens));
    for (const Chunk& chunk : window.chunks) chunks.push_back(&chunk);
  }
  const TensorView x = resize_x(window_begin.back(), workspace);  // the same memory in every slice
  while (pass.next_chunk < chunks.size()) {
    Window some{.width = pass.windows.front().width};
    for (std::size_t n = 0; n < kSliceChunks && pass.next_chunk < chunks.size(); ++n) {
      some.chunks.push_back(*chunks[pass.next_chunk++]);
      some.n_tokens += some.chunks.back().n_tokens;
    }
    embed_chunks({&some, 1}, workspace, x.slice_rows(pass.next_row, some.n_tokens));
    pass.next_row += some.n_tokens;
    if (pause()) return false;
  }
  while (pass.next_layer < layers_.size()) {
    run_layer(layers_[pass.next_layer++], {window_begin}, workspace);
    if (pause()) return false;
  }
  finish_layers(0, workspace, out, {});
  return true;
}

// Rows that a recorded pass over n_rows computes; n_rows where there is none.
std::int64_t AudioEncoder::padded_rows(std::int64_t n_rows, const EncoderWorkspace& workspace) const {
  const std::int64_t step = backend_.recorded_rows_step();
  return step == 0 || n_rows > workspace.most_recorded_rows ? n_rows : (n_rows + step - 1) / step * step;
}

// workspace.x as [n_rows, d_model], with memory for padded_rows.
TensorView AudioEncoder::resize_x(std::int64_t n_rows, EncoderWorkspace& workspace) const {
  workspace.x.resize(backend_, {padded_rows(n_rows, workspace), config_.d_model});
  return workspace.x.resize(backend_, {n_rows, config_.d_model});
}

// workspace.x through all layers and the projector.
void AudioEncoder::run_layers(std::span<const std::int32_t> window_begin, std::int64_t first_row,
                              EncoderWorkspace& workspace, TensorView out, const EncoderTap& tap) const {
  if (!tap && backend_.recorded_rows_step() > 0 && out.rows() <= workspace.most_recorded_rows) {
    const TensorView projected = run_recorded({window_begin}, workspace).slice_rows(0, out.rows());
    return backend_.linear(projected, *proj2_, out, {});  // it writes where the caller wants it: not the same address
  }
  const auto show = [&](const std::string& stage, ConstTensorView rows) {
    if (tap) tap(stage, first_row, rows);
  };
  for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
    run_layer(layers_[layer], {window_begin}, workspace);
    show("layer." + std::to_string(layer), workspace.x.view());
  }
  finish_layers(first_row, workspace, out, tap);
}

// What follows the layers.
void AudioEncoder::finish_layers(std::int64_t first_row, EncoderWorkspace& workspace, TensorView out,
                                 const EncoderTap& tap) const {
  const auto show = [&](const std::string& stage, ConstTensorView rows) {
    if (tap) tap(stage, first_row, rows);
  };
  // A tap sees act.
  const DType normed_dtype = tap ? backend_.activation_dtype() : backend_.operand_dtype(*proj1_);
  const TensorView normed = run_post_norm(workspace, normed_dtype);
  show("ln_post", normed);
  backend_.linear(run_proj1(normed, workspace), *proj2_, out, {});
  show("output", out);
}

// The layers and the projector up to its last product, as one record: [padded_rows, d_model].
TensorView AudioEncoder::run_recorded(RowBlocks windows, EncoderWorkspace& workspace) const {
  const std::int64_t n_rows = padded_rows(workspace.x.view().rows(), workspace);
  const std::int64_t table_size = backend_.block_table_size(windows);
  workspace.tables.resize(backend_, {std::max(table_size, kLeastTable)}, DType::kI32);
  const TensorView tables = workspace.tables.resize(backend_, {table_size}, DType::kI32);
  backend_.upload_blocks(windows, tables);
  windows.tables = tables;

  const DType act = backend_.activation_dtype();
  std::vector<std::uintptr_t> key = {reinterpret_cast<std::uintptr_t>(this), static_cast<std::uintptr_t>(n_rows),
                                     static_cast<std::uintptr_t>(table_size)};
  const auto fix = [&](DeviceTensor& tensor, std::int64_t width, DType dtype) {
    key.push_back(reinterpret_cast<std::uintptr_t>(tensor.resize(backend_, {n_rows, width}, dtype).data));
    return tensor.view();
  };
  key.push_back(reinterpret_cast<std::uintptr_t>(tables.data));
  fix(workspace.x, config_.d_model, DType::kF32);
  fix(workspace.normed, config_.d_model, act);
  fix(workspace.qkv, 3LL * config_.d_model, act);
  fix(workspace.ff, config_.d_ff, act);
  const TensorView projected = fix(workspace.attention, config_.d_model, act);
  const auto operations = [&] {
    for (const Layer& layer : layers_) run_layer(layer, windows, workspace);
    run_proj1(run_post_norm(workspace, backend_.operand_dtype(*proj1_)), workspace);
  };
  backend_.run_recorded(key, std::cref(operations));
  return projected;
}

TensorView AudioEncoder::run_post_norm(EncoderWorkspace& workspace, DType dtype) const {
  const TensorView x = workspace.x.view(), normed = workspace.normed.resize(backend_, x.shape, dtype);
  backend_.layer_norm(x, post_norm_weight_.view(), post_norm_bias_.view(), config_.layer_norm_eps, normed);
  return normed;
}

TensorView AudioEncoder::run_proj1(ConstTensorView normed, EncoderWorkspace& workspace) const {
  const TensorView projected =
      workspace.attention.resize(backend_, workspace.x.view().shape, backend_.operand_dtype(*proj2_));
  backend_.linear(normed, *proj1_, projected, {.activation = Activation::kGelu});
  return projected;
}

// Frames of every chunk, padded with zeros to the windows' width: [n_chunks, n_mels, width].
void AudioEncoder::fill_chunks(std::span<const Window> windows, EncoderWorkspace& workspace, TensorView chunks) const {
  if (windows.front().chunks.front().features->host == nullptr) {
    std::vector<ColumnRange> pieces;
    for (const Window& window : windows) {
      for (const Chunk& chunk : window.chunks) {
        const AudioFeatures& from = *chunk.features;
        pieces.push_back({from.begin + chunk.first_frame, from.n_frames, chunk.n_frames});
      }
    }
    return backend_.cut_columns(windows.front().chunks.front().features->tensor, pieces, chunks);
  }
  std::vector<float>& host = workspace.host_chunks;
  host.clear();
  for (const Window& window : windows) {
    for (const Chunk& chunk : window.chunks) {
      for (int mel = 0; mel < config_.n_mels; ++mel) {
        const float* row =
            chunk.features->host + static_cast<std::ptrdiff_t>(mel) * chunk.features->n_frames + chunk.first_frame;
        host.insert(host.end(), row, row + chunk.n_frames);
        host.insert(host.end(), static_cast<std::size_t>(window.width - chunk.n_frames), 0.0F);
      }
    }
  }
  backend_.upload(host.data(), chunks);
}

// Chunks -> convolution stem -> conv_out + positions, valid tokens only: x [n_tokens, d_model].
void AudioEncoder::embed_chunks(std::span<const Window> windows, EncoderWorkspace& workspace, TensorView x) const {
  const int width = windows.front().width;
  const std::int64_t tokens_per_chunk = conv_out_length(width, kConvs);
  std::vector<std::int32_t> chunk_rows, position_rows;
  std::int64_t n_chunks = 0;
  for (const Window& window : windows) {
    for (const Chunk& chunk : window.chunks) {
      for (int token = 0; token < chunk.n_tokens; ++token) {
        chunk_rows.push_back(static_cast<std::int32_t>(n_chunks * tokens_per_chunk) + token);
        position_rows.push_back(token);
      }
      ++n_chunks;
    }
  }

  const std::int64_t n_rows = n_chunks * tokens_per_chunk;
  const DType act = backend_.activation_dtype();
  const TensorView chunks = workspace.chunks.resize(backend_, {n_chunks, config_.n_mels, width});
  fill_chunks(windows, workspace, chunks);
  const TensorView stem =
      workspace.stem.resize(backend_, {n_rows, conv_out_->in_features()}, backend_.operand_dtype(*conv_out_));
  backend_.conv_stem(chunks, *conv_stem_, stem);
  const TensorView stem_out = workspace.stem_out.resize(backend_, {n_rows, config_.d_model}, act);
  backend_.linear(stem, *conv_out_, stem_out, {});
  backend_.gather_rows_add(stem_out, chunk_rows, positions_.view(), position_rows, x);
}

// One pre-LayerNorm transformer layer, in place on workspace.x. Rows behind the windows attend to nothing.
void AudioEncoder::run_layer(const Layer& layer, const RowBlocks& windows, EncoderWorkspace& workspace) const {
  const TensorView x = workspace.x.view();
  const DType act = backend_.activation_dtype();
  const TensorView qkv = workspace.qkv.resize(backend_, {x.rows(), 3LL * config_.d_model}, act);
  const float eps = config_.layer_norm_eps;
  // Rows that only a product with `w` reads.
  const auto operand = [&](DeviceTensor& rows, const LinearWeight& w) {
    return rows.resize(backend_, {x.rows(), w.in_features()}, backend_.operand_dtype(w));
  };

  const TensorView attention_in = operand(workspace.normed, *layer.qkv);
  backend_.layer_norm(x, layer.attention_norm_weight.view(), layer.attention_norm_bias.view(), eps, attention_in);
  backend_.linear(attention_in, *layer.qkv, qkv, {});
  const TensorView attention = operand(workspace.attention, *layer.attention_out);
  const std::int64_t n_valid = windows.begin.back();
  backend_.attention_blocks(qkv.slice_rows(0, n_valid), config_.n_heads, windows, attention.slice_rows(0, n_valid));
  backend_.linear(attention, *layer.attention_out, x, {.accumulate = true});

  const TensorView ff_in = operand(workspace.normed, *layer.fc1), ff = operand(workspace.ff, *layer.fc2);
  backend_.layer_norm(x, layer.ff_norm_weight.view(), layer.ff_norm_bias.view(), eps, ff_in);
  backend_.linear(ff_in, *layer.fc1, ff, {.activation = Activation::kGelu});
  backend_.linear(ff, *layer.fc2, x, {.accumulate = true});
}

}  // namespace qasr
