// The CPU backend: packed weights, a thread pool, and the kernels of one instruction set. One file per operation.
#pragma once

#include <memory>
#include <string>

#include "backend/backend.h"
#include "backend/cpu/context.h"
#include "backend/cpu/packed_matrix.h"

namespace qasr::cpu {

class PackedLinear final : public LinearWeight {
 public:
  PackedLinear(std::int64_t out_features, std::int64_t in_features, PackedMatrix packed)
      : LinearWeight(out_features, in_features, packed.bias.bytes() > 0), matrix(std::move(packed)) {
    bytes_ = matrix.bytes();
  }
  PackedMatrix matrix;  ///< features in order, or, from make_gate_up, panels of gate and up in turns
};

class PackedConvStem final : public ConvStemWeight {
 public:
  explicit PackedConvStem(std::int64_t channels) : ConvStemWeight(channels) {}
  PackedMatrix convs[3];  ///< [channels, 9 * input channels], depth = tap * input channels + input channel
};

class CpuBackend : public Backend {
 public:
  CpuBackend(int n_threads, const isa::KernelTable& isa)
      : pool_(n_threads), context_{isa, pool_, scratch_, weight_memory_} {}

  std::string description() const override;
  DType operand_dtype(const LinearWeight& w) const override;

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

  std::string packed_layout() const override;
  void use_packed_sections(PackedSections* sections) override { context_.sections = sections; }

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
  void pick_log_probs(ConstTensorView logits, ConstTensorView ids, TensorView log_probs) override;

 private:
  ThreadPool pool_;
  ScratchPool scratch_;
  WeightMemory weight_memory_;
  Context context_;
};

}  // namespace qasr::cpu
