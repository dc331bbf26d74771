// TextDecoder::extend_and_choose: many positions of one sequence judged in one pass.
#include <algorithm>

#include "model/text_decoder.h"

namespace qasr {
namespace {

constexpr std::int64_t kHeadRows = 16;  // that share a pass of the head: their logits are in memory together

}  // namespace

void TextDecoder::extend_and_choose(std::span<const PrefillInput> inputs, std::span<const int> n_choices,
                                    DecoderWorkspace& workspace, std::span<std::int32_t> next_ids,
                                    std::span<float> log_probs) const {
  QASR_CHECK(n_choices.size() == inputs.size() && (log_probs.empty() || log_probs.size() == next_ids.size()));
  extend(inputs, workspace);
  workspace.rows.clear();
  for (std::size_t index = 0; index < inputs.size(); ++index) {
    const std::int32_t end = workspace.row_begin[index + 1];
    QASR_CHECK(n_choices[index] >= 0 && end - n_choices[index] >= workspace.row_begin[index]);
    for (std::int32_t row = end - n_choices[index]; row < end; ++row) workspace.rows.push_back(row);
  }
  const auto n_rows = static_cast<std::int64_t>(workspace.rows.size());
  QASR_CHECK(n_rows == static_cast<std::int64_t>(next_ids.size()));
  if (n_rows == 0) return;
  const TensorView last = workspace.last.resize(backend_, {n_rows, config_.hidden});
  backend_.gather_rows(workspace.x.view(), workspace.rows, last);
  for (std::int64_t first = 0; first < n_rows; first += kHeadRows) {
    const std::int64_t count = std::min(kHeadRows, n_rows - first);
    resize_activations(count, count, workspace);
    workspace.next_ids.resize(backend_, {count}, DType::kI32);
    next_tokens(last.slice_rows(first, count), workspace);
    backend_.download(workspace.next_ids.view(), next_ids.data() + first);
    if (log_probs.empty()) continue;
    const TensorView picked = workspace.log_probs.resize(backend_, {count});
    backend_.pick_log_probs(workspace.logits.view(), workspace.next_ids.view(), picked);
    backend_.download(picked, log_probs.data() + first);
  }
}

}  // namespace qasr
