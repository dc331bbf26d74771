// The operations the model needs, behind one interface: math on tensors, nothing about speech.
//
// reference/ implements them as plain f32 loops and is the oracle of every other backend; cpu/ is threads, blocking and
// instruction sets; cuda/ is one NVIDIA GPU. A fused operation is an operation of its own, with a reference version.
//
// "act" below is the backend's activation_dtype(): f32 in host memory, bf16 on a GPU. Residual streams, norm weights
// and logits are f32 everywhere. Rows that only products read may be of their operand_dtype() instead, wherever an
// operation below writes act rows or multiplies them with a weight.
//
// Rules for every implementation:
//   - Views passed in were made from this backend's memory. All are contiguous and row-major. Outputs never overlap
//     inputs unless the operation says so.
//   - Shapes are checked once here (QASR_CHECK -> Error kInternal) before anything runs; kernels are noexcept.
//   - Row independence: a row of the output depends only on that row's inputs, never on how many rows or sequences
//     share the call, and its sums run in one fixed order. So a batch gives bit for bit what single runs give.
//     (cuda/ keeps this up to the order of f32 sums inside matrix products, which depends on the number of rows.)
//   - Operations may be called from several threads at once, on different outputs.
//   - Operations run in the order of the calls of one thread, but perhaps later than the call: download() and
//     ReadQueue::pop() wait for what was called before them. Host arguments (spans) are read before a call returns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "backend/packed_sections.h"
#include "backend/token_choice.h"
#include "qasr/options.h"
#include "tensor/host_tensor.h"
#include "tensor/tensor_view.h"

namespace qasr {

/// A matrix [out_features, in_features] with an optional bias, packed in a backend's own format.
class LinearWeight {
 public:
  virtual ~LinearWeight() = default;
  std::int64_t out_features() const { return out_features_; }
  std::int64_t in_features() const { return in_features_; }
  bool has_bias() const { return has_bias_; }
  std::size_t bytes() const { return bytes_; }

 protected:
  LinearWeight(std::int64_t out_features, std::int64_t in_features, bool has_bias)
      : out_features_(out_features), in_features_(in_features), has_bias_(has_bias) {}
  std::size_t bytes_ = 0;  ///< memory the packed form occupies

 private:
  std::int64_t out_features_, in_features_;
  bool has_bias_;
};

/// The three convolutions of the encoder's stem, packed. All are 3x3, stride 2, padding 1.
class ConvStemWeight {
 public:
  virtual ~ConvStemWeight() = default;
  std::int64_t channels() const { return channels_; }

 protected:
  explicit ConvStemWeight(std::int64_t channels) : channels_(channels) {}

 private:
  std::int64_t channels_;
};

/// A window and a filterbank for log_mel, in a backend's own form.
class LogMelFilter {
 public:
  virtual ~LogMelFilter() = default;
  int n_mels() const { return n_mels_; }
  int hop_samples() const { return hop_samples_; }

 protected:
  LogMelFilter(int n_mels, int hop_samples) : n_mels_(n_mels), hop_samples_(hop_samples) {}

 private:
  int n_mels_, hop_samples_;
};

/// Columns of a matrix that lies somewhere in a larger tensor: row r is [begin + r * row_stride, ... + n_columns).
struct ColumnRange {
  std::int32_t begin = 0, row_stride = 0, n_columns = 0;
};

/// Length of an axis after `n_convs` convolutions of stride 2, kernel 3, padding 1: floor((x - 1) / 2) + 1 each time.
constexpr std::int64_t conv_out_length(std::int64_t length, int n_convs) {
  for (int conv = 0; conv < n_convs; ++conv) length = length <= 0 ? 0 : (length - 1) / 2 + 1;
  return length;
}

/// Memory of the backend, freed on destruction; contents undefined at first.
class Buffer {
 public:
  virtual ~Buffer() = default;
  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 protected:
  Buffer(void* data, std::size_t bytes) : data_(data), bytes_(bytes) {}
  void* data_;
  std::size_t bytes_;
};

/// Keys and values of all layers in pages of `page_tokens` positions. Pages are handed out by model/kv_cache.h; a
/// sequence is a list of page numbers, the same for every layer, so sequences of any length share one pool.
/// Inside a page the backend chooses the layout.
struct KvCacheShape {
  int n_layers = 0, n_kv_heads = 0, head_dim = 0;
  int page_tokens = 0, n_pages = 0;
  /// kF32, kBf16 or kF8E4M3; values are rounded on append. The last has one f32 scale per position, KV head and key or
  /// value: the largest magnitude over 448.
  DType dtype = DType::kF32;
};

class KvCache {
 public:
  virtual ~KvCache() = default;
  const KvCacheShape& shape() const { return shape_; }

 protected:
  explicit KvCache(const KvCacheShape& shape) : shape_(shape) {}

 private:
  KvCacheShape shape_;
};

/// Which rows of a decoder call belong to which sequence. Sequence s owns rows [row_begin[s], row_begin[s + 1]);
/// its first row has position n_past[s], and n_past[s] positions are in the cache already. Position p of sequence s is
/// slot p % page_tokens of page pages[s][p / page_tokens].
struct SequenceBatch {
  std::span<const std::int32_t> row_begin;               ///< [n_sequences + 1], starts with 0, strictly increasing
  std::span<const std::int32_t> n_past;                  ///< [n_sequences]
  std::span<const std::span<const std::int32_t>> pages;  ///< [n_sequences], each covers n_past + rows positions
  /// The same numbers as upload_batch() wrote them into the backend's memory; backends in host memory use none.
  ConstTensorView tables = {};
  std::size_t n_sequences() const { return n_past.size(); }
  std::int64_t n_rows() const { return row_begin.empty() ? 0 : row_begin.back(); }
};

/// Rows that attend to each other: block b owns rows [begin[b], begin[b + 1]).
struct RowBlocks {
  std::span<const std::int32_t> begin;  ///< [n_blocks + 1], starts with 0, ends with the rows, strictly increasing
  /// The same as upload_blocks() wrote it into the backend's memory. Recorded operations need it.
  ConstTensorView tables = {};
};

/// Small results on their way from the backend to the host, oldest first. Belongs to one caller; the backend outlives
/// it.
class ReadQueue {
 public:
  virtual ~ReadQueue() = default;
  /// Takes the tensor's contents as they are after all operations called so far.
  virtual void push(ConstTensorView source) = 0;
  /// Waits for the oldest entry and writes it to `host`, which has room for it.
  virtual void pop(void* host) = 0;
};

/// x / sqrt(mean(x^2) + eps) * weight of each row.
struct RmsNorm {
  ConstTensorView weight;  ///< [dim] f32
  float eps = 0;
};

/// What follows a matrix product.
enum class Activation { kNone, kGelu };

struct LinearOptions {
  Activation activation = Activation::kNone;  ///< kGelu is the exact one: 0.5 v (1 + erf(v / sqrt 2))
  /// y = activation(...) + y instead of y = activation(...): adds the residual stream in place.
  bool accumulate = false;
};

class Backend {
 public:
  virtual ~Backend() = default;

  /// "cpu (avx2, 2 threads)"
  virtual std::string description() const = 0;

  // ---- how the backend likes to be called; the defaults suit backends in host memory (backend.cc) -------------------

  /// Element type of what flows between the operations of a layer ("act").
  virtual DType activation_dtype() const { return DType::kF32; }

  /// Element type of rows that nothing but products with `w` read ("operand"): act, or kQ8Rows where the operation that
  /// writes the rows rounds them, so that the product need not. The result is the same bits.
  virtual DType operand_dtype(const LinearWeight&) const { return activation_dtype(); }

  /// What WeightFormat::kAuto means here.
  virtual WeightFormat default_weights() const { return WeightFormat::kQ8; }

  /// Rows of one call that keep the machine busy: more do not make products faster, only activations larger.
  virtual std::int64_t preferred_rows() const { return 1024; }

  /// Decode steps worth calling before the ids of the first are read, so that the machine never waits for the host.
  virtual int run_ahead_steps() const { return 0; }

  /// Runs `operations`, calls of this backend's operations that read nothing from the host. A backend may record them
  /// and replay the record when it sees the key again: equal keys promise the same calls with the same addresses.
  ///   key  everything the calls depend on: shapes and addresses
  virtual void run_recorded(std::span<const std::uintptr_t> key, const std::function<void()>& operations);

  /// Where operations on many rows are worth recording, their number is rounded up to a multiple of this, so that one
  /// record serves many numbers of rows; 0: nothing is recorded.
  virtual std::int64_t recorded_rows_step() const { return 0; }

  virtual std::unique_ptr<ReadQueue> make_read_queue();

  // ---- memory ------------------------------------------------------------------------------------------------------

  /// Errors: kOutOfMemory.
  virtual std::unique_ptr<Buffer> allocate(std::size_t bytes) = 0;
  virtual void upload(const void* host, TensorView destination) = 0;
  virtual void download(ConstTensorView source, void* host) = 0;
  /// Errors: kOutOfMemory; kInvalidArgument if the backend has no caches of this dtype.
  virtual std::unique_ptr<KvCache> make_kv_cache(const KvCacheShape& shape) = 0;

  /// Memory that allocate() and make_kv_cache() could still take, in bytes; an estimate. Default: the host's.
  virtual std::uint64_t available_bytes() const;

  /// After a kDevice error: whether the device has failed for good, so that nothing will work here any more.
  virtual bool is_lost() { return false; }

  /// Whether copy_kv_page() works. Without it, positions that share a page with others are computed again.
  virtual bool copies_kv_pages() const { return false; }
  /// Page `to` becomes a copy of page `from`, in all layers.
  virtual void copy_kv_page(KvCache& cache, std::int32_t from, std::int32_t to);

  /// Elements (i32) of SequenceBatch::tables; 0: the backend needs none.
  virtual std::int64_t batch_table_size(const SequenceBatch& batch) const;
  ///   tables  [at least batch_table_size] i32
  virtual void upload_batch(const SequenceBatch& batch, TensorView tables);

  /// The same for RowBlocks::tables.
  virtual std::int64_t block_table_size(const RowBlocks& blocks) const;
  virtual void upload_blocks(const RowBlocks& blocks, TensorView tables);

  // ---- weights: checked and packed once at load --------------------------------------------------------------------

  /// Stacks matrices [n_i, in] of the same `in` on top of each other, so that one product computes them all.
  ///   biases  empty, or one [n_i] per matrix
  virtual std::unique_ptr<LinearWeight> make_linear(std::span<const HostTensor> matrices,
                                                    std::span<const HostTensor> biases, WeightFormat format) = 0;

  /// Two matrices [d_ff, in] for gate_up_silu.
  virtual std::unique_ptr<LinearWeight> make_gate_up(const HostTensor& gate, const HostTensor& up,
                                                     WeightFormat format) = 0;

  ///   weights  conv 1 [channels, 1, 3, 3], conv 2 and 3 [channels, channels, 3, 3] (OIHW: height is the first
  ///            spatial axis of conv_stem's input); biases [channels]
  virtual std::unique_ptr<ConvStemWeight> make_conv_stem(std::span<const HostTensor, 3> weights,
                                                         std::span<const HostTensor, 3> biases,
                                                         WeightFormat format) = 0;

  /// Names everything that packed bytes depend on besides the checkpoint and the format: kernels' layout and a version
  /// that grows with every change to it. Empty: this backend keeps nothing across runs.
  virtual std::string packed_layout() const { return {}; }
  /// From now on the functions above look for packed bytes here first; null: no longer. One loader at a time.
  virtual void use_packed_sections(PackedSections*) {}

  /// Tables for log_mel, or null: the backend leaves it to the host (audio/log_mel.h, which is also its reference).
  ///   window  [window samples, an even number]    bank  [n_mels, window / 2 + 1]
  virtual std::unique_ptr<LogMelFilter> make_log_mel(std::span<const float> window, std::span<const float> bank,
                                                     int n_mels, int hop_samples);

  // ---- operations --------------------------------------------------------------------------------------------------

  /// y = activation(x W^T + bias), or added to y.
  ///   x [rows, in] act    w [out, in]    y [rows, out] act or f32, f32 if added to
  /// Numerics: f32 accumulation over `in` in ascending order per output element (row independence).
  virtual void linear(ConstTensorView x, const LinearWeight& w, TensorView y, const LinearOptions& options) = 0;

  /// y = silu(x Wg^T) * (x Wu^T), silu(v) = v / (1 + exp(-v)).
  ///   x [rows, in] act    gate_up from make_gate_up    y [rows, d_ff] act
  /// Source: Qwen3MLP in Hugging Face transformers.
  virtual void gate_up_silu(ConstTensorView x, const LinearWeight& gate_up, TensorView y) = 0;

  /// LayerNorm of each row: y = (x - mean) / sqrt(variance + eps) * weight + bias, biased variance.
  ///   x [rows, dim] f32    weight, bias [dim] f32    y [rows, dim] act or f32, may be x
  /// Source: arXiv:1607.06450; torch.nn.LayerNorm.
  virtual void layer_norm(ConstTensorView x, ConstTensorView weight, ConstTensorView bias, float eps, TensorView y) = 0;

  /// RMS normalisation of each row: y = x / sqrt(mean(x^2) + eps) * weight.
  ///   x [rows, dim] f32    weight [dim] f32    y [rows, dim] act or f32, may be x
  /// Source: arXiv:1910.07467; Qwen3RMSNorm in Hugging Face transformers.
  virtual void rms_norm(ConstTensorView x, ConstTensorView weight, float eps, TensorView y) = 0;

  /// Three convolutions (3x3, stride 2, padding 1), each followed by bias and exact GELU, then a transpose that puts
  /// one time step on a row.
  ///   x  [n_chunks, height, width] f32
  ///   y  [n_chunks * conv_out_length(width, 3), channels * conv_out_length(height, 3)] act; column index is
  ///      channel * conv_out_length(height, 3) + row
  /// Source: Qwen3ASRAudioEncoder, conv2d1..conv2d3 and the permute before conv_out.
  virtual void conv_stem(ConstTensorView x, const ConvStemWeight& w, TensorView y) = 0;

  /// The log-mel spectrograms of several recordings; the formulas are LogMel::compute's.
  ///   samples       [n_samples] f32, the recordings one after the other
  ///   sample_begin  [n_recordings + 1], starts with 0, ends with n_samples
  ///   y             [total frames * n_mels] f32: recording after recording, each [n_mels, samples / hop]
  virtual void log_mel(ConstTensorView samples, std::span<const std::int32_t> sample_begin, const LogMelFilter& filter,
                       TensorView y);

  /// Cuts matrices of equal height out of a tensor and pads them to equal width with zeros.
  ///   x [n] f32    y [pieces.size(), height, width] f32
  virtual void cut_columns(ConstTensorView x, std::span<const ColumnRange> pieces, TensorView y);

  /// y[r] = x[x_rows[r]] + table[table_rows[r]].
  ///   x [n, dim] act    table [m, dim] f32    y [x_rows.size(), dim] f32
  virtual void gather_rows_add(ConstTensorView x, std::span<const std::int32_t> x_rows, ConstTensorView table,
                               std::span<const std::int32_t> table_rows, TensorView y) = 0;

  /// Bidirectional attention inside each block of rows, none across blocks. No score matrix in memory.
  ///   qkv  [rows, 3 * n_heads * head_dim] act: all queries, then all keys, then all values of the row
  ///   y    [rows, n_heads * head_dim] act
  /// Numerics: scores scaled by 1 / sqrt(head_dim), softmax in f32. Source: arXiv:1706.03762.
  virtual void attention_blocks(ConstTensorView qkv, int n_heads, const RowBlocks& blocks, TensorView y) = 0;

  /// y[r] = row ids[r] of the matrix.
  ///   table [vocab, hidden]    y [ids.size(), hidden] f32
  virtual void embed(const LinearWeight& table, std::span<const std::int32_t> ids, TensorView y) = 0;
  /// The same with ids in the backend's memory: [rows] i32.
  virtual void embed_ids(const LinearWeight& table, ConstTensorView ids, TensorView y);

  /// y[y_rows[r]] = x[r].
  ///   x [n, dim] f32    y [m, dim] f32
  virtual void scatter_rows(ConstTensorView x, std::span<const std::int32_t> y_rows, TensorView y) = 0;

  /// y[r] = x[x_rows[r]].
  ///   x [n, dim] f32    y [x_rows.size(), dim] f32
  virtual void gather_rows(ConstTensorView x, std::span<const std::int32_t> x_rows, TensorView y) = 0;

  /// One product for queries, keys and values; RMSNorm of every query and key head; RoPE; keys and values appended to
  /// the cache at positions n_past[s] + row; queries written out.
  ///   x    [rows, hidden] act, already normalised (input_layernorm)
  ///   qkv  [(n_heads + 2 n_kv_heads) * head_dim, hidden]: q rows, then k, then v
  ///   q    [rows, n_heads * head_dim] act; [0, n_heads * head_dim]: only keys and values are computed
  /// Source: Qwen3Attention in Hugging Face transformers; arXiv:2104.09864 (RoPE, half-split convention).
  struct QkvNormRope {
    const LinearWeight* qkv = nullptr;
    ConstTensorView q_norm, k_norm;      ///< [head_dim] f32
    float eps = 0;                       ///< config.json: rms_norm_eps
    ConstTensorView rope_cos, rope_sin;  ///< [max_positions, head_dim / 2] f32, row = position
    int layer = 0;
  };
  virtual void qkv_norm_rope_append(ConstTensorView x, const QkvNormRope& p, const SequenceBatch& batch, KvCache& cache,
                                    TensorView q) = 0;

  /// Causal attention of new rows over their sequence's cached positions, themselves included. Query head h uses KV
  /// head h / (n_heads / n_kv_heads); keys and values are not repeated in memory, no mask, no score matrix in memory.
  ///   q, y  [rows, n_heads * head_dim] act
  /// Numerics: scores scaled by 1 / sqrt(head_dim), f32. A row's sums depend on its position and the cache only, so
  /// prefill and decode steps agree bit for bit.
  virtual void attention_causal(ConstTensorView q, int n_heads, int layer, const SequenceBatch& batch,
                                const KvCache& cache, TensorView y) = 0;

  // ---- what a decode step may fuse; the defaults (backend.cc) call the operations above and below one by one
  // ---------

  /// gate_up_silu of the normalised rows.
  ///   x [rows, in] f32    normed [rows, in] act, scratch
  virtual void norm_gate_up_silu(ConstTensorView x, const RmsNorm& norm, const LinearWeight& gate_up, TensorView normed,
                                 TensorView y);

  /// rms_norm, qkv_norm_rope_append and attention_causal: the attention of a layer up to its output projection.
  ///   x [rows, hidden] f32    y [rows, n_heads * head_dim] act
  struct AttentionScratch {
    TensorView normed;  ///< [rows, hidden] act
    TensorView q;       ///< [rows, n_heads * head_dim] act
  };
  virtual void norm_attention(ConstTensorView x, const RmsNorm& norm, const QkvNormRope& p, const SequenceBatch& batch,
                              KvCache& cache, const AttentionScratch& scratch, TensorView y);

  /// argmax_ids of the normalised rows.
  virtual void norm_argmax_ids(ConstTensorView x, const RmsNorm& norm, const LinearWeight& head, TensorView normed,
                               TensorView logits, TensorView ids);

  /// ids[r] = index of the largest element of x[r] W^T; the lowest index on ties.
  ///   x [rows, hidden] act    head [vocab, hidden]    logits [rows, vocab] f32 scratch, filled
  virtual void argmax_logits(ConstTensorView x, const LinearWeight& head, TensorView logits,
                             std::span<std::int32_t> ids) = 0;
  /// The same with ids in the backend's memory: [rows] i32.
  virtual void argmax_ids(ConstTensorView x, const LinearWeight& head, TensorView logits, TensorView ids);

  /// log_probs[r] = logits[r][ids[r]] - log(sum over j of exp(logits[r][j])): log-softmax at one id of each row.
  ///   logits [rows, vocab] f32    ids [rows] i32, in the backend's memory    log_probs [rows] f32
  /// Numerics: exponentials relative to the row's maximum. Default: on the host, in f64, after a download.
  virtual void pick_log_probs(ConstTensorView logits, ConstTensorView ids, TensorView log_probs);

  /// ids[r] = the next token of row r by its record; rows whose record does not draw or penalise keep their id. Takes
  /// the token into the row's history and advances its random state.
  ///   logits [rows, vocab] f32, not changed    ids [rows] i32, in the backend's memory
  ///   table  i32: make_choice_table() of the rows, perhaps with room behind it
  /// Numerics: choose_token's. cuda/ rounds probabilities to f32, so that a draw within 1e-6 of the border between two
  /// tokens may fall on its other side, and as much probability at the border of top_p may be left out or in.
  /// Default: choose_token on the host, after a download.
  virtual void choose_ids(ConstTensorView logits, TensorView table, TensorView ids);
};

/// logits[id] - log(sum of exp(logits)), in f64.
float log_softmax_at(std::span<const float> logits, std::int32_t id);

}  // namespace qasr
