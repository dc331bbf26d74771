// Defaults of Backend: what a backend does whose memory is the host's and whose operations are done when they return.
#include "backend/backend.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "backend/op_checks.h"
#include "base/available_memory.h"

namespace qasr {
namespace {

// Entries are copied at once. Slots are reused, so that a queue in steady use allocates nothing.
class HostReadQueue final : public ReadQueue {
 public:
  explicit HostReadQueue(Backend& backend) : backend_(backend) {}

  void push(ConstTensorView source) override {
    if (size_ == slots_.size()) {  // full: the oldest entry moves to the front, room grows at the back
      std::rotate(slots_.begin(), slots_.begin() + static_cast<std::ptrdiff_t>(first_), slots_.end());
      first_ = 0;
      slots_.emplace_back();
    }
    std::vector<std::byte>& slot = slots_[(first_ + size_++) % slots_.size()];
    slot.resize(source.bytes());
    backend_.download(source, slot.data());
  }

  void pop(void* host) override {
    QASR_CHECK(size_ > 0);
    const std::vector<std::byte>& slot = slots_[first_];
    if (!slot.empty()) std::memcpy(host, slot.data(), slot.size());
    first_ = (first_ + 1) % slots_.size();
    --size_;
  }

 private:
  Backend& backend_;
  std::vector<std::vector<std::byte>> slots_;  // a ring: entries first_, first_ + 1, ...
  std::size_t first_ = 0, size_ = 0;
};

}  // namespace

void Backend::run_recorded(std::span<const std::uintptr_t>, const std::function<void()>& operations) { operations(); }

std::unique_ptr<ReadQueue> Backend::make_read_queue() { return std::make_unique<HostReadQueue>(*this); }

std::int64_t Backend::batch_table_size(const SequenceBatch&) const { return 0; }

void Backend::upload_batch(const SequenceBatch&, TensorView) {}

std::int64_t Backend::block_table_size(const RowBlocks&) const { return 0; }

void Backend::upload_blocks(const RowBlocks&, TensorView) {}

std::unique_ptr<LogMelFilter> Backend::make_log_mel(std::span<const float>, std::span<const float>, int, int) {
  return nullptr;
}

void Backend::log_mel(ConstTensorView, std::span<const std::int32_t>, const LogMelFilter&, TensorView) {
  QASR_CHECK_MSG(false, "this backend makes no LogMelFilter");
}

void Backend::cut_columns(ConstTensorView x, std::span<const ColumnRange> pieces, TensorView y) {
  check_cut_columns(x, pieces, y);
  const std::int64_t height = y.shape[1], width = y.shape[2];
  float* to = y.as<float>();
  for (const ColumnRange& piece : pieces) {
    for (std::int64_t row = 0; row < height; ++row, to += width) {
      const float* from = x.as<float>() + piece.begin + row * piece.row_stride;
      std::fill(std::copy_n(from, piece.n_columns, to), to + width, 0.0f);
    }
  }
}

std::uint64_t Backend::available_bytes() const { return available_memory_bytes(); }

void Backend::copy_kv_page(KvCache&, std::int32_t, std::int32_t) {
  QASR_CHECK_MSG(false, "this backend does not copy cache pages");
}

void Backend::pick_log_probs(ConstTensorView logits, ConstTensorView ids, TensorView log_probs) {
  check_pick_log_probs(logits, ids, log_probs);
  std::vector<std::int32_t> chosen(static_cast<std::size_t>(logits.rows()));
  std::vector<float> row(static_cast<std::size_t>(logits.cols())), picked(chosen.size());
  download(ids, chosen.data());
  for (std::size_t r = 0; r < chosen.size(); ++r) {
    download(logits.slice_rows(static_cast<std::int64_t>(r), 1), row.data());
    picked[r] = log_softmax_at(row, chosen[r]);
  }
  upload(picked.data(), log_probs);
}

void Backend::choose_ids(ConstTensorView logits, TensorView table, TensorView ids) {
  check_choose_ids(logits, table, ids);
  std::vector<std::int32_t> records(static_cast<std::size_t>(table.shape.elements()));
  std::vector<std::int32_t> chosen(static_cast<std::size_t>(logits.rows()));
  std::vector<float> row(static_cast<std::size_t>(logits.cols()));
  download(table, records.data());
  download(ids, chosen.data());
  for (std::size_t r = 0; r < chosen.size(); ++r) {
    std::int32_t* place = records.data() + r * static_cast<std::size_t>(kChoiceRecordWords);
    ChoiceRecord record;
    std::memcpy(&record, place, sizeof record);
    if (record.draws_or_penalises == 0) continue;
    QASR_CHECK(record.n_history < record.history_capacity);
    RowChoice choice{.options = {.temperature = record.temperature,
                                 .top_k = record.top_k,
                                 .top_p = record.top_p,
                                 .repetition_penalty = record.repetition_penalty,
                                 .no_repeat_ngram_size = record.no_repeat_ngram_size},
                     .random_state = record.random_state};
    std::int32_t* history = records.data() + record.history_begin;
    choice.history = {history, static_cast<std::size_t>(record.n_history)};
    download(logits.slice_rows(static_cast<std::int64_t>(r), 1), row.data());
    chosen[r] = history[record.n_history++] = choose_token(choice, row);
    record.random_state = choice.random_state;
    std::memcpy(place, &record, sizeof record);
  }
  upload(records.data(), table);
  upload(chosen.data(), ids);
}

float log_softmax_at(std::span<const float> logits, std::int32_t id) {
  QASR_CHECK(id >= 0 && static_cast<std::size_t>(id) < logits.size());
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - largest);
  return static_cast<float>(logits[static_cast<std::size_t>(id)] - largest - std::log(sum));
}

void Backend::embed_ids(const LinearWeight& table, ConstTensorView ids, TensorView y) {
  check_ids(ids, y.rows());
  embed(table, {ids.as<std::int32_t>(), static_cast<std::size_t>(y.rows())}, y);
}

void Backend::norm_gate_up_silu(ConstTensorView x, const RmsNorm& norm, const LinearWeight& gate_up, TensorView normed,
                                TensorView y) {
  rms_norm(x, norm.weight, norm.eps, normed);
  gate_up_silu(normed, gate_up, y);
}

void Backend::norm_attention(ConstTensorView x, const RmsNorm& norm, const QkvNormRope& p, const SequenceBatch& batch,
                             KvCache& cache, const AttentionScratch& scratch, TensorView y) {
  rms_norm(x, norm.weight, norm.eps, scratch.normed);
  qkv_norm_rope_append(scratch.normed, p, batch, cache, scratch.q);
  attention_causal(scratch.q, static_cast<int>(y.cols() / cache.shape().head_dim), p.layer, batch, cache, y);
}

void Backend::norm_argmax_ids(ConstTensorView x, const RmsNorm& norm, const LinearWeight& head, TensorView normed,
                              TensorView logits, TensorView ids) {
  rms_norm(x, norm.weight, norm.eps, normed);
  argmax_ids(normed, head, logits, ids);
}

void Backend::argmax_ids(ConstTensorView x, const LinearWeight& head, TensorView logits, TensorView ids) {
  check_ids(ids, x.rows());
  argmax_logits(x, head, logits, {ids.as<std::int32_t>(), static_cast<std::size_t>(x.rows())});
}

}  // namespace qasr
