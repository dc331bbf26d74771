// TextDecoder::classify: the causal pass of the forced aligner. Only the wanted rows go through the head.
#include <algorithm>

#include "model/text_decoder.h"

namespace qasr {
namespace {

constexpr std::int64_t kHeadRows = 128;  // that share a pass of the head: their logits are in memory together

}  // namespace

void TextDecoder::classify(std::span<const PrefillInput> inputs, std::span<const std::span<const std::int32_t>> wanted,
                           DecoderWorkspace& workspace, const RowSink& sink) const {
  QASR_CHECK(!inputs.empty() && wanted.size() == inputs.size());
  std::vector<std::int32_t> best;
  std::vector<float> log_probs, logits;
  const auto read_head = [&](ConstTensorView hidden) {
    const std::int64_t count = hidden.rows();
    resize_activations(count, count, workspace);
    workspace.next_ids.resize(backend_, {count}, DType::kI32);
    next_tokens(hidden, workspace);
    const TensorView picked = workspace.log_probs.resize(backend_, {count});
    backend_.pick_log_probs(workspace.logits.view(), workspace.next_ids.view(), picked);
    best.resize(static_cast<std::size_t>(count));
    log_probs.resize(best.size());
    logits.resize(best.size() * static_cast<std::size_t>(n_logits()));
    backend_.download(workspace.next_ids.view(), best.data());
    backend_.download(picked, log_probs.data());
    backend_.download(workspace.logits.view(), logits.data());
    sink(best, log_probs, logits);
  };
  run_passes(inputs, workspace, [&](std::span<const Part> parts) {
    workspace.rows.clear();
    for (std::size_t index = 0; index < parts.size(); ++index) {
      const Part& part = parts[index];
      const auto first = static_cast<std::int32_t>(part.first_id);
      const std::int32_t end = first + static_cast<std::int32_t>(part.n_ids);
      for (const std::int32_t row : wanted[part.input]) {
        if (row >= first && row < end) workspace.rows.push_back(workspace.row_begin[index] + row - first);
      }
    }
    const auto n_rows = static_cast<std::int64_t>(workspace.rows.size());
    if (n_rows == 0) return;
    const TensorView hidden = workspace.last.resize(backend_, {n_rows, config_.hidden});
    backend_.gather_rows(workspace.x.view(), workspace.rows, hidden);
    for (std::int64_t row = 0; row < n_rows; row += kHeadRows) {
      read_head(hidden.slice_rows(row, std::min(kHeadRows, n_rows - row)));
    }
  });
}

}  // namespace qasr
