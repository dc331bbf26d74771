// Shape checks shared by the backends: one function per operation, called before anything is dispatched.
// `act` is the calling backend's activation type.
#pragma once

#include <vector>

#include "backend/backend.h"

namespace qasr {

inline void check_matrix(ConstTensorView view, std::int64_t rows, std::int64_t cols, DType dtype = DType::kF32) {
  QASR_CHECK_MSG(view.dtype == dtype && view.shape == Shape({rows, cols}),
                 "got " + std::string(dtype_name(view.dtype)) + " " + view.shape.to_string() + ", expected " +
                     std::string(dtype_name(dtype)) + " " + Shape({rows, cols}).to_string());
}

/// The output of an operation that writes activations or f32.
inline void check_output(ConstTensorView view, std::int64_t rows, std::int64_t cols, DType act) {
  check_matrix(view, rows, cols, view.dtype == act ? act : DType::kF32);
}

inline void check_vector(ConstTensorView view, std::int64_t size) {
  QASR_CHECK_MSG(view.dtype == DType::kF32 && view.shape == Shape({size}),
                 "got " + std::string(dtype_name(view.dtype)) + " " + view.shape.to_string() + ", expected f32 " +
                     Shape({size}).to_string());
}

inline void check_indices(std::span<const std::int32_t> rows, std::int64_t limit) {
  for (std::int32_t row : rows) QASR_CHECK_MSG(row >= 0 && row < limit, "row " + std::to_string(row));
}

/// Blocks or sequences: starts with 0, strictly increasing, ends with `rows`.
inline void check_row_begin(std::span<const std::int32_t> begin, std::int64_t rows) {
  QASR_CHECK(!begin.empty() && begin.front() == 0 && begin.back() == rows);
  for (std::size_t i = 1; i < begin.size(); ++i) QASR_CHECK(begin[i - 1] < begin[i]);
}

inline void check_batch(const SequenceBatch& batch, std::int64_t rows, const KvCacheShape& cache) {
  check_row_begin(batch.row_begin, rows);
  QASR_CHECK(batch.n_past.size() + 1 == batch.row_begin.size() && batch.pages.size() == batch.n_past.size());
  for (std::size_t s = 0; s < batch.n_sequences(); ++s) {
    const std::int64_t positions = batch.n_past[s] + batch.row_begin[s + 1] - batch.row_begin[s];
    QASR_CHECK(batch.n_past[s] >= 0);
    QASR_CHECK(static_cast<std::int64_t>(batch.pages[s].size()) * cache.page_tokens >= positions);
    check_indices(batch.pages[s], cache.n_pages);
  }
}

inline void check_pick_log_probs(ConstTensorView logits, ConstTensorView ids, ConstTensorView log_probs) {
  QASR_CHECK(logits.dtype == DType::kF32 && logits.shape.rank() == 2 && logits.cols() > 0);
  QASR_CHECK(ids.dtype == DType::kI32 && ids.shape == Shape({logits.rows()}));
  check_vector(log_probs, logits.rows());
}

inline void check_choose_ids(ConstTensorView logits, ConstTensorView table, ConstTensorView ids) {
  QASR_CHECK(logits.dtype == DType::kF32 && logits.shape.rank() == 2 && logits.cols() > 0);
  QASR_CHECK(ids.dtype == DType::kI32 && ids.shape == Shape({logits.rows()}));
  QASR_CHECK(table.dtype == DType::kI32 && table.shape.elements() >= logits.rows() * kChoiceRecordWords);
}

inline void check_linear(ConstTensorView x, const LinearWeight& w, TensorView y, DType act = DType::kF32) {
  QASR_CHECK(x.shape.rank() == 2);
  check_matrix(x, x.rows(), w.in_features(), act);
  check_output(y, x.rows(), w.out_features(), act);
}

inline void check_gate_up(ConstTensorView x, const LinearWeight& gate_up, TensorView y, DType act = DType::kF32) {
  QASR_CHECK(x.shape.rank() == 2 && gate_up.out_features() % 2 == 0 && !gate_up.has_bias());
  check_matrix(x, x.rows(), gate_up.in_features(), act);
  check_matrix(y, x.rows(), gate_up.out_features() / 2, act);
}

inline void check_norm(ConstTensorView x, ConstTensorView weight, TensorView y, DType act = DType::kF32) {
  QASR_CHECK(x.shape.rank() == 2);
  check_matrix(x, x.rows(), x.cols());
  check_output(y, x.rows(), x.cols(), act);
  check_vector(weight, x.cols());
}

inline void check_conv_stem(ConstTensorView x, const ConvStemWeight& w, TensorView y, DType act = DType::kF32) {
  QASR_CHECK(x.dtype == DType::kF32 && x.shape.rank() == 3 && x.shape[1] > 0 && x.shape[2] > 0);
  check_matrix(y, x.shape[0] * conv_out_length(x.shape[2], 3), w.channels() * conv_out_length(x.shape[1], 3), act);
}

/// Returns [n_recordings + 1]: where the frames of each recording begin.
inline std::vector<std::int32_t> check_log_mel(ConstTensorView samples, std::span<const std::int32_t> sample_begin,
                                               const LogMelFilter& filter, ConstTensorView y) {
  QASR_CHECK(!sample_begin.empty() && sample_begin.front() == 0);
  check_vector(samples, sample_begin.back());
  std::vector<std::int32_t> frame_begin = {0};
  for (std::size_t r = 1; r < sample_begin.size(); ++r) {
    QASR_CHECK(sample_begin[r - 1] <= sample_begin[r]);
    frame_begin.push_back(frame_begin.back() + (sample_begin[r] - sample_begin[r - 1]) / filter.hop_samples());
  }
  check_vector(y, static_cast<std::int64_t>(frame_begin.back()) * filter.n_mels());
  return frame_begin;
}

inline void check_cut_columns(ConstTensorView x, std::span<const ColumnRange> pieces, ConstTensorView y) {
  QASR_CHECK(y.dtype == DType::kF32 && y.shape.rank() == 3 && y.shape[0] == static_cast<std::int64_t>(pieces.size()));
  for (const ColumnRange& piece : pieces) {
    QASR_CHECK(piece.begin >= 0 && piece.row_stride >= 0 && piece.n_columns >= 0 && piece.n_columns <= y.shape[2]);
    QASR_CHECK(piece.begin + (y.shape[1] - 1) * piece.row_stride + piece.n_columns <= x.shape.elements());
  }
}

inline void check_gather_rows_add(ConstTensorView x, std::span<const std::int32_t> x_rows, ConstTensorView table,
                                  std::span<const std::int32_t> table_rows, TensorView y, DType act = DType::kF32) {
  QASR_CHECK(x.shape.rank() == 2 && table.shape.rank() == 2 && x_rows.size() == table_rows.size());
  check_matrix(x, x.rows(), x.cols(), act);
  check_matrix(table, table.rows(), x.cols());
  check_matrix(y, static_cast<std::int64_t>(x_rows.size()), x.cols());
  check_indices(x_rows, x.rows());
  check_indices(table_rows, table.rows());
}

inline void check_scatter_rows(ConstTensorView x, std::span<const std::int32_t> y_rows, TensorView y) {
  QASR_CHECK(x.shape.rank() == 2 && y.shape.rank() == 2);
  check_matrix(x, static_cast<std::int64_t>(y_rows.size()), y.cols());
  check_matrix(y, y.rows(), y.cols());
  check_indices(y_rows, y.rows());
}

inline void check_gather_rows(ConstTensorView x, std::span<const std::int32_t> x_rows, TensorView y) {
  QASR_CHECK(x.shape.rank() == 2);
  check_matrix(x, x.rows(), x.cols());
  check_matrix(y, static_cast<std::int64_t>(x_rows.size()), x.cols());
  check_indices(x_rows, x.rows());
}

inline void check_attention_blocks(ConstTensorView qkv, int n_heads, const RowBlocks& blocks, TensorView y,
                                   DType act = DType::kF32) {
  QASR_CHECK(qkv.shape.rank() == 2 && y.shape.rank() == 2 && n_heads > 0 && y.cols() % n_heads == 0);
  check_matrix(qkv, y.rows(), 3 * y.cols(), act);
  check_matrix(y, y.rows(), y.cols(), act);
  check_row_begin(blocks.begin, y.rows());
}

inline void check_embed(const LinearWeight& table, std::span<const std::int32_t> ids, TensorView y) {
  check_matrix(y, static_cast<std::int64_t>(ids.size()), table.in_features());
  check_indices(ids, table.out_features());
}

inline void check_qkv_norm_rope_append(ConstTensorView x, const Backend::QkvNormRope& p, const SequenceBatch& batch,
                                       const KvCache& cache, TensorView q, DType act = DType::kF32) {
  const KvCacheShape& shape = cache.shape();
  QASR_CHECK(p.qkv != nullptr && x.shape.rank() == 2 && q.shape.rank() == 2 && shape.head_dim % 2 == 0);
  check_matrix(x, x.rows(), p.qkv->in_features(), act);
  check_matrix(q, q.rows() == 0 ? 0 : x.rows(), p.qkv->out_features() - 2LL * shape.n_kv_heads * shape.head_dim, act);
  check_vector(p.q_norm, shape.head_dim);
  check_vector(p.k_norm, shape.head_dim);
  QASR_CHECK(q.cols() % shape.head_dim == 0 && p.layer >= 0 && p.layer < shape.n_layers && !p.qkv->has_bias());
  check_batch(batch, x.rows(), shape);
  QASR_CHECK(p.rope_cos.shape == p.rope_sin.shape && p.rope_cos.shape.rank() == 2);
  check_matrix(p.rope_cos, p.rope_cos.rows(), shape.head_dim / 2);
  for (std::size_t s = 0; s < batch.n_sequences(); ++s) {
    QASR_CHECK(batch.n_past[s] + batch.row_begin[s + 1] - batch.row_begin[s] <= p.rope_cos.rows());
  }
}

inline void check_attention_causal(ConstTensorView q, int n_heads, int layer, const SequenceBatch& batch,
                                   const KvCache& cache, TensorView y, DType act = DType::kF32) {
  const KvCacheShape& shape = cache.shape();
  QASR_CHECK(q.shape.rank() == 2 && n_heads > 0 && n_heads % shape.n_kv_heads == 0);
  QASR_CHECK(layer >= 0 && layer < shape.n_layers);
  check_matrix(q, q.rows(), static_cast<std::int64_t>(n_heads) * shape.head_dim, act);
  check_matrix(y, q.rows(), q.cols(), act);
  check_batch(batch, q.rows(), shape);
}

inline void check_ids(ConstTensorView ids, std::int64_t rows) {
  QASR_CHECK_MSG(ids.dtype == DType::kI32 && ids.shape == Shape({rows}), "got " + ids.shape.to_string());
}

inline void check_argmax_logits(ConstTensorView x, const LinearWeight& head, TensorView logits,
                                std::span<const std::int32_t> ids, DType act = DType::kF32) {
  check_linear(x, head, logits, act);
  QASR_CHECK(static_cast<std::int64_t>(ids.size()) == x.rows());
}

// ---- weights --------------------------------------------------------------------------------------------------------

/// Shapes of matrices to be stacked; returns the rows of the stack.
inline std::int64_t check_make_linear(std::span<const HostTensor> matrices, std::span<const HostTensor> biases) {
  QASR_CHECK(!matrices.empty() && (biases.empty() || biases.size() == matrices.size()));
  std::int64_t rows = 0;
  for (std::size_t m = 0; m < matrices.size(); ++m) {
    const Shape& shape = matrices[m].shape;
    QASR_CHECK_MSG(shape.rank() == 2 && shape[1] == matrices[0].shape[1], matrices[m].name + " " + shape.to_string());
    QASR_CHECK_MSG(biases.empty() || biases[m].shape == Shape({shape[0]}), matrices[m].name);
    rows += shape[0];
  }
  return rows;
}

/// Returns the number of channels.
inline std::int64_t check_make_conv_stem(std::span<const HostTensor, 3> weights,
                                         std::span<const HostTensor, 3> biases) {
  const std::int64_t channels = weights[0].shape[0];
  for (std::size_t conv = 0; conv < 3; ++conv) {
    QASR_CHECK_MSG(weights[conv].shape == Shape({channels, conv == 0 ? 1 : channels, 3, 3}), weights[conv].name);
    QASR_CHECK_MSG(biases[conv].shape == Shape({channels}), biases[conv].name);
  }
  return channels;
}

}  // namespace qasr
