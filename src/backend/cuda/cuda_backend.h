// One NVIDIA GPU: bf16 weights and activations, f32 sums, norms, softmax and residual streams. One .cu per operation.
//
// Sizes must suit 16-byte loads and the matrix units: widths are multiples of 8, head_dim is 64 or 128 and cache pages
// hold a power of two of at least 64 positions; other checkpoints are refused when they are loaded.
#pragma once

#include <cuda_bf16.h>

#include <memory>
#include <string>

#include "backend/backend.h"
#include "backend/cuda/context.h"
#include "backend/cuda/matmul.h"
#include "backend/cuda/paged_layout.h"

namespace qasr::cuda {

using Bf16 = __nv_bfloat16;

/// How a matrix is held: see weight_codes.cuh.
enum class CudaFormat { kBf16, kQ8, kFp8 };

class CudaLinear final : public LinearWeight {
 public:
  CudaLinear(Context& context, const Shape& shape, bool has_bias, CudaFormat format);
  ~CudaLinear() override { context_.forget_weights(); }
  const Bf16* w() const { return weight.as<Bf16>(); }
  const float* b() const { return bias.as<float>(); }
  CudaFormat format;
  DeviceMemory weight;     ///< [out, in] bf16 or codes
  DeviceMemory scales;     ///< kQ8: [out, in / 32] f16; kFp8: [out] f32
  DeviceMemory bias;       ///< [out] f32, or empty
  DeviceMemory bias_bf16;  ///< the same in bf16, for products that write bf16

 private:
  Context& context_;
};

class CudaConvStem final : public ConvStemWeight {
 public:
  explicit CudaConvStem(std::int64_t channels) : ConvStemWeight(channels) {}
  DeviceMemory first;                   ///< [channels, 9] f32
  std::unique_ptr<CudaLinear> rest[2];  ///< [channels, 9 * channels], column = tap * channels + input channel
  DeviceMemory bias[3];                 ///< [channels] f32
};

/// [layer][page][kv_head][keys, values][slot][head_dim] bf16 or fp8: the positions of one head in a page are
/// contiguous. Fp8 has scales [layer][page][kv_head][keys, values][slot] f32 besides.
class CudaKvCache final : public KvCache {
 public:
  explicit CudaKvCache(const KvCacheShape& shape);
  bool holds_fp8() const { return shape().dtype == DType::kF8E4M3; }
  PagedLayout layout() const;
  /// Enqueues copies of one page in all layers.
  void copy_page(std::int32_t from, std::int32_t to, cudaStream_t stream);
  template <typename Element>
  CacheLayer<Element> layer(int index) const {
    return {memory_.as<Element>() + index * layer_elements_,
            scales_.as<float>() + index * (layer_elements_ / shape().head_dim)};
  }

 private:
  std::int64_t layer_elements_;
  DeviceMemory memory_, scales_;
};

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(int device) : context_(device), matmul_(context_) {}

  std::string description() const override;
  DType activation_dtype() const override { return DType::kBf16; }
  WeightFormat default_weights() const override { return WeightFormat::kBf16; }
  std::int64_t preferred_rows() const override { return 8192; }
  int run_ahead_steps() const override { return 3; }
  void run_recorded(std::span<const std::uintptr_t> key, const std::function<void()>& operations) override;
  std::int64_t recorded_rows_step() const override { return 32; }
  std::unique_ptr<ReadQueue> make_read_queue() override;

  std::unique_ptr<Buffer> allocate(std::size_t bytes) override;
  void upload(const void* host, TensorView destination) override;
  void download(ConstTensorView source, void* host) override;
  std::unique_ptr<KvCache> make_kv_cache(const KvCacheShape& shape) override;
  std::uint64_t available_bytes() const override;
  bool is_lost() override;
  bool copies_kv_pages() const override { return true; }
  void copy_kv_page(KvCache& cache, std::int32_t from, std::int32_t to) override;
  std::int64_t batch_table_size(const SequenceBatch& batch) const override;
  void upload_batch(const SequenceBatch& batch, TensorView tables) override;
  std::int64_t block_table_size(const RowBlocks& blocks) const override;
  void upload_blocks(const RowBlocks& blocks, TensorView tables) override;

  std::unique_ptr<LinearWeight> make_linear(std::span<const HostTensor> matrices, std::span<const HostTensor> biases,
                                            WeightFormat format) override;
  std::unique_ptr<LinearWeight> make_gate_up(const HostTensor& gate, const HostTensor& up,
                                             WeightFormat format) override;
  std::unique_ptr<ConvStemWeight> make_conv_stem(std::span<const HostTensor, 3> weights,
                                                 std::span<const HostTensor, 3> biases, WeightFormat format) override;
  std::unique_ptr<LogMelFilter> make_log_mel(std::span<const float> window, std::span<const float> bank, int n_mels,
                                             int hop_samples) override;

  void log_mel(ConstTensorView samples, std::span<const std::int32_t> sample_begin, const LogMelFilter& filter,
               TensorView y) override;
  void cut_columns(ConstTensorView x, std::span<const ColumnRange> pieces, TensorView y) override;
  void linear(ConstTensorView x, const LinearWeight& w, TensorView y, const LinearOptions& options) override;
  void gate_up_silu(ConstTensorView x, const LinearWeight& gate_up, TensorView y) override;
  void layer_norm(ConstTensorView x, ConstTensorView weight, ConstTensorView bias, float eps, TensorView y) override;
  void rms_norm(ConstTensorView x, ConstTensorView weight, float eps, TensorView y) override;
  void conv_stem(ConstTensorView x, const ConvStemWeight& w, TensorView y) override;
  void gather_rows_add(ConstTensorView x, std::span<const std::int32_t> x_rows, ConstTensorView table,
                       std::span<const std::int32_t> table_rows, TensorView y) override;
  void attention_blocks(ConstTensorView qkv, int n_heads, const RowBlocks& blocks, TensorView y) override;
  void embed(const LinearWeight& table, std::span<const std::int32_t> ids, TensorView y) override;
  void embed_ids(const LinearWeight& table, ConstTensorView ids, TensorView y) override;
  void scatter_rows(ConstTensorView x, std::span<const std::int32_t> y_rows, TensorView y) override;
  void gather_rows(ConstTensorView x, std::span<const std::int32_t> x_rows, TensorView y) override;
  void qkv_norm_rope_append(ConstTensorView x, const QkvNormRope& p, const SequenceBatch& batch, KvCache& cache,
                            TensorView q) override;
  void attention_causal(ConstTensorView q, int n_heads, int layer, const SequenceBatch& batch, const KvCache& cache,
                        TensorView y) override;
  void norm_gate_up_silu(ConstTensorView x, const RmsNorm& norm, const LinearWeight& gate_up, TensorView normed,
                         TensorView y) override;
  void norm_attention(ConstTensorView x, const RmsNorm& norm, const QkvNormRope& p, const SequenceBatch& batch,
                      KvCache& cache, const AttentionScratch& scratch, TensorView y) override;
  void norm_argmax_ids(ConstTensorView x, const RmsNorm& norm, const LinearWeight& head, TensorView normed,
                       TensorView logits, TensorView ids) override;
  void argmax_logits(ConstTensorView x, const LinearWeight& head, TensorView logits,
                     std::span<std::int32_t> ids) override;
  void argmax_ids(ConstTensorView x, const LinearWeight& head, TensorView logits, TensorView ids) override;
  void pick_log_probs(ConstTensorView logits, ConstTensorView ids, TensorView log_probs) override;
  void choose_ids(ConstTensorView logits, TensorView table, TensorView ids) override;

 private:
  const std::int32_t* tables_of(const SequenceBatch& batch);
  void find_largest(ConstTensorView logits, TensorView ids);
  void norm_linear(ConstTensorView x, const RmsNorm& norm, const LinearWeight& w, TensorView normed, TensorView y);
  bool multiply(Product product, const CudaLinear& w, std::int64_t first_feature = 0);
  CudaFormat cuda_format(WeightFormat format) const;

  Context context_;
  Matmul matmul_;
};

}  // namespace qasr::cuda
