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
  workspace.n_wanted.assign(n_choices.begin(), n_choices.end());
  const ConstTensorView last = extend_rows(inputs, workspace);
  const std::int64_t n_rows = last.rows();
  QASR_CHECK(n_rows == static_cast<std::int64_t>(next_ids.size()));
  for (std::int64_t first = 0; first < n_rows; first += kHeadRows) {
    const std::int64_t count = std::min(kHeadRows, n_rows - first);
    workspace.logits.resize(backend_, {count, n_logits()});
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
