// See text_decoder.h. The order of the functions is the order of the computation; the layers are in
// text_decoder_layers.cc.
#include "model/text_decoder.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <numeric>
#include <string>
#include <utility>

namespace qasr {
namespace {

// Capacity of a table: a power of two, so that it keeps its address while sequences grow.
std::int64_t table_capacity(std::int64_t size) {
  return size == 0
             ? 0
             : static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(std::max<std::int64_t>(size, 4096))));
}

}  // namespace

void rope_tables(std::int64_t n_positions, int head_dim, double theta, std::vector<float>& cosines,
                 std::vector<float>& sines) {
  const int half = head_dim / 2;
  std::vector<float> frequency(static_cast<std::size_t>(half));
  for (int i = 0; i < half; ++i) {
    frequency[static_cast<std::size_t>(i)] = static_cast<float>(1.0 / std::pow(theta, 2.0 * i / head_dim));
  }
  cosines.clear();
  sines.clear();
  for (std::int64_t pos = 0; pos < n_positions; ++pos) {
    for (float f : frequency) {
      const double angle = static_cast<float>(pos) * f;
      cosines.push_back(static_cast<float>(std::cos(angle)));
      sines.push_back(static_cast<float>(std::sin(angle)));
    }
  }
}

TextDecoder::TextDecoder(const TextDecoderConfig& config, int audio_token_id, const WeightPacker& weights)
    : config_(config), audio_token_id_(audio_token_id), backend_(weights.backend()) {
  embedding_ = weights.linear(MatrixRole::kEmbedding, {"model.embed_tokens.weight"});
  if (!config.tied_head) head_ = weights.linear(MatrixRole::kEmbedding, {"lm_head.weight"});
  for (int index = 0; index < config.n_layers; ++index) {
    const std::string layer = "model.layers." + std::to_string(index) + ".", attn = layer + "self_attn.";
    const std::string mlp = layer + "mlp.";
    constexpr MatrixRole kLayer = MatrixRole::kDecoderLayer;
    layers_.push_back(
        {.attention_norm = weights.vector(layer + "input_layernorm.weight"),
         .qkv = weights.linear(kLayer, {attn + "q_proj.weight", attn + "k_proj.weight", attn + "v_proj.weight"}),
         .q_norm = weights.vector(attn + "q_norm.weight"),
         .k_norm = weights.vector(attn + "k_norm.weight"),
         .attention_out = weights.linear(kLayer, {attn + "o_proj.weight"}),
         .ff_norm = weights.vector(layer + "post_attention_layernorm.weight"),
         .gate_up = weights.gate_up(kLayer, mlp + "gate_proj.weight", mlp + "up_proj.weight"),
         .down = weights.linear(kLayer, {mlp + "down_proj.weight"})});
  }
  final_norm_ = weights.vector("model.norm.weight");
}

std::size_t TextDecoder::step_weight_bytes() const {
  std::size_t bytes = (head_ == nullptr ? embedding_ : head_)->bytes();
  for (const Layer& layer : layers_) {
    bytes += layer.qkv->bytes() + layer.attention_out->bytes() + layer.gate_up->bytes() + layer.down->bytes();
  }
  return bytes;
}

// Checks the inputs, reserves their positions and fills the tables of RoPE.
void TextDecoder::make_room(std::span<const PrefillInput> inputs, DecoderWorkspace& workspace) const {
  std::int64_t n_positions = 0;
  for (const PrefillInput& input : inputs) {
    const auto n_audio = std::count(input.ids.begin(), input.ids.end(), audio_token_id_);
    const std::int64_t n_rows = input.audio.shape.rank() == 2 ? input.audio.rows() : 0;
    QASR_CHECK_MSG(!input.ids.empty() && n_audio == n_rows,
                   std::to_string(n_audio) + " placeholders, " + std::to_string(n_rows) + " audio rows");
    const int n_after = input.sequence->length() + static_cast<int>(input.ids.size());
    QASR_CHECK_MSG(n_after <= config_.max_positions, std::to_string(n_after) + " positions");
    input.sequence->reserve(n_after);
    n_positions = std::max<std::int64_t>(n_positions, input.sequence->capacity());
  }
  grow_rope(n_positions, workspace);
}

void TextDecoder::extend(std::span<const PrefillInput> inputs, DecoderWorkspace& workspace) const {
  workspace.n_wanted.assign(inputs.size(), 0);
  extend_rows(inputs, workspace);
}

// All rows in one pass; the output of the last workspace.n_wanted[i] rows of every input.
ConstTensorView TextDecoder::extend_rows(std::span<const PrefillInput> inputs, DecoderWorkspace& workspace) const {
  begin_extend(inputs, workspace);
  const ConstTensorView wanted = run_layers(upload_batch(workspace), inputs[0].sequence->pool().cache(), workspace);
  for (const PrefillInput& input : inputs) input.sequence->advance(static_cast<int>(input.ids.size()));
  return wanted;
}

bool TextDecoder::extend_slice(ExtendPass& pass, DecoderWorkspace& workspace,
                               const std::function<bool()>& pause) const {
  if (!std::exchange(pass.is_begun, true)) begin_extend(pass.inputs, workspace);
  const SequenceBatch batch = upload_batch(workspace);
  KvCache& cache = pass.inputs[0].sequence->pool().cache();
  while (pass.next_layer < config_.n_layers - 1) {
    run_layer(pass.next_layer++, workspace.x.view(), batch, cache, workspace);
    if (pause()) return false;
  }
  workspace.n_wanted.assign(pass.inputs.size(), 0);
  run_last_layer(batch, cache, workspace);
  for (const PrefillInput& input : pass.inputs) input.sequence->advance(static_cast<int>(input.ids.size()));
  return true;
}

// Room for the inputs' rows, and their embeddings in workspace.x.
void TextDecoder::begin_extend(std::span<const PrefillInput> inputs, DecoderWorkspace& workspace) const {
  QASR_CHECK(!inputs.empty());
  make_room(inputs, workspace);
  std::vector<Part> parts;
  for (std::size_t index = 0; index < inputs.size(); ++index) {
    const PrefillInput& input = inputs[index];
    parts.push_back({.input = index,
                     .n_ids = input.ids.size(),
                     .n_audio_rows = input.audio.shape.rank() == 2 ? input.audio.rows() : 0,
                     .source = &input});
  }
  embed_parts(parts, workspace);
}

void TextDecoder::prefill(std::span<const PrefillInput> inputs, DecoderWorkspace& workspace,
                          std::span<std::int32_t> next_ids) const {
  QASR_CHECK(!inputs.empty() && next_ids.size() == inputs.size());
  const TensorView last = workspace.last.resize(backend_, {static_cast<std::int64_t>(inputs.size()), config_.hidden});
  std::int64_t n_finished = 0;
  const auto is_finished = [](const Part& part) { return part.first_id + part.n_ids == part.source->ids.size(); };
  run_passes(inputs, workspace, is_finished, [&](std::span<const Part>, ConstTensorView wanted) {
    workspace.rows.resize(static_cast<std::size_t>(wanted.rows()));
    std::iota(workspace.rows.begin(), workspace.rows.end(), static_cast<std::int32_t>(n_finished));
    backend_.scatter_rows(wanted, workspace.rows, last);
    n_finished += wanted.rows();
  });
  workspace.logits.resize(backend_, {last.rows(), n_logits()});
  workspace.next_ids.resize(backend_, {last.rows()}, DType::kI32);
  next_tokens(last, workspace);
  backend_.download(workspace.next_ids.view(), next_ids.data());
}

// All rows of all inputs, in passes of a bounded number of rows.
void TextDecoder::run_passes(std::span<const PrefillInput> inputs, DecoderWorkspace& workspace,
                             const CountWanted& count_wanted, const AfterPass& after_pass) const {
  make_room(inputs, workspace);
  for (Part cursor; cursor.input < inputs.size();) {
    const std::vector<Part> parts = next_pass(inputs, cursor);
    embed_parts(parts, workspace);
    workspace.n_wanted.clear();
    for (const Part& part : parts) workspace.n_wanted.push_back(count_wanted(part));
    const ConstTensorView wanted = run_layers(upload_batch(workspace), inputs[0].sequence->pool().cache(), workspace);
    for (const Part& part : parts) part.source->sequence->advance(static_cast<int>(part.n_ids));
    after_pass(parts, wanted);
  }
}

// Takes the ids of one pass from where `cursor` stands, across prompts, and moves the cursor. A longer prompt takes
// several passes; its later rows attend to the cache of the earlier ones.
std::vector<TextDecoder::Part> TextDecoder::next_pass(std::span<const PrefillInput> inputs, Part& cursor) const {
  const std::int64_t pass_rows = backend_.preferred_rows();
  std::vector<Part> parts;
  std::int64_t n_rows = 0;
  while (cursor.input < inputs.size() && n_rows < pass_rows) {
    const PrefillInput& input = inputs[cursor.input];
    Part part = cursor;
    part.source = &input;
    part.n_ids = std::min(input.ids.size() - cursor.first_id, static_cast<std::size_t>(pass_rows - n_rows));
    const auto ids = input.ids.subspan(part.first_id, part.n_ids);
    part.n_audio_rows = std::count(ids.begin(), ids.end(), audio_token_id_);
    parts.push_back(part);
    n_rows += static_cast<std::int64_t>(part.n_ids);
    cursor.first_id += part.n_ids;
    cursor.first_audio_row += part.n_audio_rows;
    if (cursor.first_id == input.ids.size()) cursor = {.input = cursor.input + 1};
  }
  return parts;
}

// Fills workspace.x [rows, hidden] with embeddings, audio rows spliced in, and describes the batch.
void TextDecoder::embed_parts(std::span<const Part> parts, DecoderWorkspace& workspace) const {
  workspace.row_begin.assign(1, 0);
  workspace.n_past.clear();
  workspace.pages.clear();
  workspace.ids.clear();
  for (const Part& part : parts) {
    const auto ids = part.source->ids.subspan(part.first_id, part.n_ids);
    workspace.ids.insert(workspace.ids.end(), ids.begin(), ids.end());
    workspace.row_begin.push_back(static_cast<std::int32_t>(workspace.ids.size()));
    workspace.n_past.push_back(part.source->sequence->length());
    workspace.pages.push_back(part.source->sequence->pages());
  }
  resize_activations(static_cast<std::int64_t>(workspace.ids.size()), 0, workspace);
  const TensorView x = workspace.x.view();
  backend_.embed(*embedding_, workspace.ids, x);
  for (std::size_t p = 0; p < parts.size(); ++p) {
    if (parts[p].n_audio_rows == 0) continue;
    workspace.rows.clear();
    for (std::int32_t row = workspace.row_begin[p]; row < workspace.row_begin[p + 1]; ++row) {
      if (workspace.ids[static_cast<std::size_t>(row)] == audio_token_id_) workspace.rows.push_back(row);
    }
    const ConstTensorView audio = parts[p].source->audio;
    backend_.scatter_rows(audio.slice_rows(parts[p].first_audio_row, parts[p].n_audio_rows), workspace.rows, x);
  }
}

void TextDecoder::decode_step(std::span<KvSequence* const> sequences, std::span<const std::int32_t> ids,
                              DecoderWorkspace& workspace, std::span<std::int32_t> next_ids) const {
  QASR_CHECK(!sequences.empty() && ids.size() == sequences.size() && next_ids.size() == sequences.size());
  start_steps(ids, workspace);
  enqueue_step(sequences, workspace);
  read_step(workspace, next_ids);
}

void TextDecoder::start_steps(std::span<const std::int32_t> ids, DecoderWorkspace& workspace,
                              std::span<const RowChoice> choices, int n_steps) const {
  QASR_CHECK(choices.empty() || choices.size() == ids.size());
  if (workspace.reads == nullptr) workspace.reads = backend_.make_read_queue();
  const auto n_sequences = static_cast<std::int64_t>(ids.size());
  backend_.upload(ids.data(), workspace.next_ids.resize(backend_, {n_sequences}, DType::kI32));
  workspace.has_choices = !choices.empty();
  if (!workspace.has_choices) return;
  const std::vector<std::int32_t> table = make_choice_table(choices, n_steps);
  const auto size = static_cast<std::int64_t>(table.size());
  workspace.choices.resize(backend_, {table_capacity(size)}, DType::kI32);
  backend_.upload(table.data(), workspace.choices.resize(backend_, {size}, DType::kI32));
}

void TextDecoder::enqueue_step(std::span<KvSequence* const> sequences, DecoderWorkspace& workspace) const {
  const std::int64_t n_sequences = static_cast<std::int64_t>(sequences.size());
  QASR_CHECK(n_sequences > 0 && workspace.next_ids.view().shape == Shape({n_sequences}));
  workspace.row_begin.assign(1, 0);
  workspace.n_past.clear();
  workspace.pages.clear();
  std::int64_t n_positions = 0;
  for (KvSequence* sequence : sequences) {
    QASR_CHECK_MSG(sequence->length() < config_.max_positions, std::to_string(sequence->length()) + " positions");
    sequence->reserve(sequence->length() + 1);
    workspace.row_begin.push_back(workspace.row_begin.back() + 1);
    workspace.n_past.push_back(sequence->length());
    workspace.pages.push_back(sequence->pages());
    n_positions = std::max<std::int64_t>(n_positions, sequence->capacity());
  }
  grow_rope(n_positions, workspace);
  KvCache& cache = sequences[0]->pool().cache();
  const SequenceBatch batch = upload_batch(workspace);
  resize_activations(n_sequences, n_sequences, workspace);
  if (workspace.want_log_probs) workspace.log_probs.resize(backend_, {n_sequences});
  const auto operations = [&] {
    backend_.embed_ids(*embedding_, workspace.next_ids.view(), workspace.x.view());
    for (int index = 0; index < config_.n_layers; ++index) {
      run_layer(index, workspace.x.view(), batch, cache, workspace);
    }
    next_tokens(workspace.x.view(), workspace);  // every row is a last row
    if (workspace.has_choices) {
      backend_.choose_ids(workspace.logits.view(), workspace.choices.view(), workspace.next_ids.view());
    }
    if (!workspace.want_log_probs) return;
    backend_.pick_log_probs(workspace.logits.view(), workspace.next_ids.view(), workspace.log_probs.view());
  };
  backend_.run_recorded(step_key(batch, cache, workspace), std::cref(operations));
  for (KvSequence* sequence : sequences) sequence->advance(1);
  workspace.reads->push(workspace.next_ids.view());
  if (workspace.want_log_probs) workspace.reads->push(workspace.log_probs.view());
}

void TextDecoder::read_step(DecoderWorkspace& workspace, std::span<std::int32_t> next_ids,
                            std::span<float> log_probs) const {
  workspace.reads->pop(next_ids.data());
  if (!workspace.want_log_probs) return;
  QASR_CHECK(log_probs.size() == next_ids.size());
  workspace.reads->pop(log_probs.data());
}

// Everything the operations of a decode step depend on, besides the contents of tensors.
std::vector<std::uintptr_t> TextDecoder::step_key(const SequenceBatch& batch, const KvCache& cache,
                                                  const DecoderWorkspace& workspace) const {
  std::vector<std::uintptr_t> key = {reinterpret_cast<std::uintptr_t>(this), reinterpret_cast<std::uintptr_t>(&cache),
                                     reinterpret_cast<std::uintptr_t>(batch.tables.data), batch.n_sequences()};
  for (const DeviceTensor* tensor :
       {&workspace.x, &workspace.normed, &workspace.q, &workspace.attention, &workspace.ff, &workspace.logits,
        &workspace.next_ids, &workspace.rope_cos, &workspace.rope_sin}) {
    key.push_back(reinterpret_cast<std::uintptr_t>(tensor->view().data));
  }
  key.push_back(workspace.want_log_probs ? reinterpret_cast<std::uintptr_t>(workspace.log_probs.view().data) : 0);
  key.push_back(workspace.has_choices ? reinterpret_cast<std::uintptr_t>(workspace.choices.view().data) : 0);
  return key;
}

// The batch that the workspace describes, also in the backend's memory.
SequenceBatch TextDecoder::upload_batch(DecoderWorkspace& workspace) const {
  return upload_tables({workspace.row_begin, workspace.n_past, workspace.pages}, workspace.tables);
}

SequenceBatch TextDecoder::upload_tables(SequenceBatch batch, DeviceTensor& memory) const {
  const std::int64_t capacity = table_capacity(backend_.batch_table_size(batch));
  if (capacity == 0) return batch;
  const TensorView tables = memory.resize(backend_, {capacity}, DType::kI32);
  backend_.upload_batch(batch, tables);
  batch.tables = tables;
  return batch;
}

void TextDecoder::resize_activations(std::int64_t n_rows, std::int64_t n_sequences, DecoderWorkspace& workspace) const {
  const DType act = backend_.activation_dtype();
  const std::int64_t heads_width = static_cast<std::int64_t>(config_.n_heads) * config_.head_dim;
  workspace.x.resize(backend_, {n_rows, config_.hidden});
  workspace.normed.resize(backend_, {n_rows, config_.hidden}, act);
  workspace.q.resize(backend_, {n_rows, heads_width}, act);
  workspace.attention.resize(backend_, {n_rows, heads_width}, act);
  workspace.ff.resize(backend_, {n_rows, config_.d_ff}, act);
  workspace.logits.resize(backend_, {n_sequences, n_logits()});
}

void TextDecoder::grow_rope(std::int64_t n_positions, DecoderWorkspace& workspace) const {
  if (n_positions <= workspace.rope_positions) return;
  std::vector<float> cosines, sines;
  rope_tables(n_positions, config_.head_dim, config_.rope_theta, cosines, sines);
  const Shape shape = {n_positions, config_.head_dim / 2};
  backend_.upload(cosines.data(), workspace.rope_cos.resize(backend_, shape));
  backend_.upload(sines.data(), workspace.rope_sin.resize(backend_, shape));
  workspace.rope_positions = n_positions;
}

}  // namespace qasr
