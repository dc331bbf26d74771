// TextDecoder: what one pass computes. The last layer is cut to the rows whose output somebody reads.
#include "model/text_decoder.h"

namespace qasr {

// All layers over workspace.x, in place, and keys and values of every row; the output of the wanted rows.
ConstTensorView TextDecoder::run_layers(const SequenceBatch& batch, KvCache& cache, DecoderWorkspace& workspace) const {
  for (int index = 0; index < config_.n_layers - 1; ++index) {
    run_layer(index, workspace.x.view(), batch, cache, workspace);
  }
  return run_last_layer(batch, cache, workspace);
}

// Nobody reads the last layer's output of other rows than the wanted ones: of those rows it computes keys and values
// only.
ConstTensorView TextDecoder::run_last_layer(const SequenceBatch& batch, KvCache& cache,
                                            DecoderWorkspace& workspace) const {
  const int index = config_.n_layers - 1;
  const TensorView x = workspace.x.view();
  const SequenceBatch wanted = wanted_rows(batch, workspace);
  if (wanted.n_rows() == x.rows()) {
    run_layer(index, x, batch, cache, workspace);
    return x;
  }
  append_keys_and_values(index, batch, cache, workspace);
  const TensorView out = workspace.wanted.resize(backend_, {wanted.n_rows(), config_.hidden});
  if (wanted.n_rows() == 0) return out;
  backend_.gather_rows(x, workspace.rows, out);
  run_layer(index, out, upload_tables(wanted, workspace.wanted_tables), cache, workspace);
  return out;
}

// The last workspace.n_wanted[s] rows of every sequence as a batch, and in workspace.rows which rows of x they are.
SequenceBatch TextDecoder::wanted_rows(const SequenceBatch& batch, DecoderWorkspace& workspace) const {
  QASR_CHECK(workspace.n_wanted.size() == batch.n_sequences());
  workspace.rows.clear();
  workspace.wanted_begin.assign(1, 0);
  workspace.wanted_past.clear();
  workspace.wanted_pages.clear();
  for (std::size_t s = 0; s < batch.n_sequences(); ++s) {
    const std::int32_t n_wanted = workspace.n_wanted[s], begin = batch.row_begin[s], end = batch.row_begin[s + 1];
    QASR_CHECK(n_wanted >= 0 && n_wanted <= end - begin);
    if (n_wanted == 0) continue;
    for (std::int32_t row = end - n_wanted; row < end; ++row) workspace.rows.push_back(row);
    workspace.wanted_begin.push_back(static_cast<std::int32_t>(workspace.rows.size()));
    workspace.wanted_past.push_back(batch.n_past[s] + end - begin - n_wanted);
    workspace.wanted_pages.push_back(batch.pages[s]);
  }
  return {workspace.wanted_begin, workspace.wanted_past, workspace.wanted_pages};
}

// Rows that only a product with `w` reads.
TensorView TextDecoder::operand(DeviceTensor& rows, std::int64_t n_rows, const LinearWeight& w) const {
  return rows.resize(backend_, {n_rows, w.in_features()}, backend_.operand_dtype(w));
}

Backend::QkvNormRope TextDecoder::qkv_of(int index, const DecoderWorkspace& workspace) const {
  const Layer& layer = layers_[static_cast<std::size_t>(index)];
  return {.qkv = layer.qkv.get(),
          .q_norm = layer.q_norm.view(),
          .k_norm = layer.k_norm.view(),
          .eps = config_.rms_norm_eps,
          .rope_cos = workspace.rope_cos.view(),
          .rope_sin = workspace.rope_sin.view(),
          .layer = index};
}

void TextDecoder::append_keys_and_values(int index, const SequenceBatch& batch, KvCache& cache,
                                         DecoderWorkspace& workspace) const {
  const Layer& layer = layers_[static_cast<std::size_t>(index)];
  const TensorView x = workspace.x.view(), normed = operand(workspace.normed, x.rows(), *layer.qkv);
  backend_.rms_norm(x, layer.attention_norm.view(), config_.rms_norm_eps, normed);
  const TensorView no_queries = workspace.q.view().slice_rows(0, 0);
  backend_.qkv_norm_rope_append(normed, qkv_of(index, workspace), batch, cache, no_queries);
}

// One layer over x, in place.
void TextDecoder::run_layer(int index, TensorView x, const SequenceBatch& batch, KvCache& cache,
                            DecoderWorkspace& workspace) const {
  const float eps = config_.rms_norm_eps;
  const Layer& layer = layers_[static_cast<std::size_t>(index)];
  const TensorView attention = operand(workspace.attention, x.rows(), *layer.attention_out);
  const TensorView q = workspace.q.view().slice_rows(0, x.rows());
  backend_.norm_attention(x, {layer.attention_norm.view(), eps}, qkv_of(index, workspace), batch, cache,
                          {.normed = operand(workspace.normed, x.rows(), *layer.qkv), .q = q}, attention);
  backend_.linear(attention, *layer.attention_out, x, {.accumulate = true});

  const TensorView ff = operand(workspace.ff, x.rows(), *layer.down);
  backend_.norm_gate_up_silu(x, {layer.ff_norm.view(), eps}, *layer.gate_up,
                             operand(workspace.normed, x.rows(), *layer.gate_up), ff);
  backend_.linear(ff, *layer.down, x, {.accumulate = true});
}

// hidden [n_sequences, hidden] -> workspace.logits, workspace.next_ids.
void TextDecoder::next_tokens(ConstTensorView hidden, DecoderWorkspace& workspace) const {
  const LinearWeight& head = head_ == nullptr ? *embedding_ : *head_;
  const TensorView normed = workspace.normed.resize(backend_, hidden.shape, backend_.operand_dtype(head));
  backend_.norm_argmax_ids(hidden, {final_norm_.view(), config_.rms_norm_eps}, head, normed, workspace.logits.view(),
                           workspace.next_ids.view());
}

}  // namespace qasr
