// The oracle: every operation as plain f32 loops over row-major f32 copies of the weights. Written to be obviously
// right, not fast; sums that decide accuracy run in f64 so that other backends are measured against truth, not
// against another rounding.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"

namespace qasr::reference {

/// [out, in] row-major f32, whatever the checkpoint stored; quantised formats hold the values their integers stand for.
class Linear final : public LinearWeight {
 public:
  Linear(std::vector<float> w, std::vector<float> b, std::int64_t out_features, std::int64_t in_features,
         bool quantizes)
      : LinearWeight(out_features, in_features, !b.empty()),
        values(std::move(w)),
        bias(std::move(b)),
        quantizes_inputs(quantizes) {
    bytes_ = (values.size() + bias.size()) * sizeof(float);
  }
  const float* row(std::int64_t index) const { return values.data() + index * in_features(); }
  /// The row of activations [in] that the product sees: rounded to 8 bits in blocks for quantised formats.
  std::vector<float> input_row(ConstTensorView x, std::int64_t row) const;

  std::vector<float> values;
  std::vector<float> bias;  ///< empty: none
  bool quantizes_inputs;
};

/// OIHW weights and biases of the three convolutions.
class ConvStem final : public ConvStemWeight {
 public:
  ConvStem(std::int64_t channels, bool quantizes) : ConvStemWeight(channels), quantizes_inputs(quantizes) {}
  bool quantizes_inputs;  ///< of the second and third convolution, per position in blocks of channels
  std::vector<float> weight[3];
  std::vector<float> bias[3];
};

/// [layer][page][slot][kv_head][head_dim], keys and values apart; bf16 caches hold values rounded to bf16.
class Cache final : public KvCache {
 public:
  explicit Cache(const KvCacheShape& shape);
  float* key(int layer, std::int32_t page, int slot, int kv_head) {
    return keys_.get() + at(layer, page, slot, kv_head);
  }
  float* value(int layer, std::int32_t page, int slot, int kv_head) {
    return values_.get() + at(layer, page, slot, kv_head);
  }
  const float* key(int layer, std::int32_t page, int slot, int kv_head) const {
    return keys_.get() + at(layer, page, slot, kv_head);
  }
  const float* value(int layer, std::int32_t page, int slot, int kv_head) const {
    return values_.get() + at(layer, page, slot, kv_head);
  }

 private:
  std::size_t at(int layer, std::int32_t page, int slot, int kv_head) const;
  std::unique_ptr<float[]> keys_, values_;  // not filled: untouched pages cost no physical memory
};

class ReferenceBackend : public Backend {
 public:
  std::string description() const override { return "reference (f32, 1 thread)"; }

  std::unique_ptr<Buffer> allocate(std::size_t bytes) override;
  void upload(const void* host, TensorView destination) override;
  void download(ConstTensorView source, void* host) override;
  std::unique_ptr<KvCache> make_kv_cache(const KvCacheShape& shape) override;
  bool copies_kv_pages() const override { return true; }
  void copy_kv_page(KvCache& cache, std::int32_t from, std::int32_t to) override;

  std::unique_ptr<LinearWeight> make_linear(std::span<const HostTensor> matrices, std::span<const HostTensor> biases,
                                            WeightFormat format) override;
  std::unique_ptr<LinearWeight> make_gate_up(const HostTensor& gate, const HostTensor& up,
                                             WeightFormat format) override;
  std::unique_ptr<ConvStemWeight> make_conv_stem(std::span<const HostTensor, 3> weights,
                                                 std::span<const HostTensor, 3> biases, WeightFormat format) override;

  void linear(ConstTensorView x, const LinearWeight& w, TensorView y, const LinearOptions& options) override;
  void gate_up_silu(ConstTensorView x, const LinearWeight& gate_up, TensorView y) override;
  void layer_norm(ConstTensorView x, ConstTensorView weight, ConstTensorView bias, float eps, TensorView y) override;
  void rms_norm(ConstTensorView x, ConstTensorView weight, float eps, TensorView y) override;
  void conv_stem(ConstTensorView x, const ConvStemWeight& w, TensorView y) override;
  void gather_rows_add(ConstTensorView x, std::span<const std::int32_t> x_rows, ConstTensorView table,
                       std::span<const std::int32_t> table_rows, TensorView y) override;
  void attention_blocks(ConstTensorView qkv, int n_heads, const RowBlocks& blocks, TensorView y) override;
  void embed(const LinearWeight& table, std::span<const std::int32_t> ids, TensorView y) override;
  void scatter_rows(ConstTensorView x, std::span<const std::int32_t> y_rows, TensorView y) override;
  void gather_rows(ConstTensorView x, std::span<const std::int32_t> x_rows, TensorView y) override;
  void qkv_norm_rope_append(ConstTensorView x, const QkvNormRope& p, const SequenceBatch& batch, KvCache& cache,
                            TensorView q) override;
  void attention_causal(ConstTensorView q, int n_heads, int layer, const SequenceBatch& batch, const KvCache& cache,
                        TensorView y) override;
  void argmax_logits(ConstTensorView x, const LinearWeight& head, TensorView logits,
                     std::span<std::int32_t> ids) override;
};

}  // namespace qasr::reference
