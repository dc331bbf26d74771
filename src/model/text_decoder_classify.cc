// TextDecoder::classify: the causal pass of the forced aligner. Only the wanted rows go through the head.
#include <algorithm>

#include "model/text_decoder.h"

namespace qasr {
namespace {

constexpr std::int64_t kClassRows = 128;  // that share a pass of the head: their logits are in memory together

}  // namespace

void TextDecoder::classify(std::span<const PrefillInput> inputs, std::span<const std::span<const std::int32_t>> wanted,
                           DecoderWorkspace& workspace, const RowSink& sink) const {
  QASR_CHECK(!inputs.empty() && wanted.size() == inputs.size());
  std::vector<std::int32_t> best;
  std::vector<float> log_probs, logits;
  const auto end_of = [](const Part& part) { return static_cast<std::int32_t>(part.first_id + part.n_ids); };
  const auto read_head = [&](ConstTensorView hidden) {
    const std::int64_t count = hidden.rows();
    workspace.logits.resize(backend_, {count, n_logits()});
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
  // The wanted ids of a part.
  const auto wanted_of = [&](const Part& part) {
    const std::span<const std::int32_t> all = wanted[part.input];
    const auto begin = std::lower_bound(all.begin(), all.end(), static_cast<std::int32_t>(part.first_id));
    return std::span(begin, std::lower_bound(begin, all.end(), end_of(part)));
  };
  // All of a part's rows from the first wanted one on.
  const auto n_rows_from_first = [&](const Part& part) {
    const std::span<const std::int32_t> ids = wanted_of(part);
    return ids.empty() ? 0 : end_of(part) - ids.front();
  };
  run_passes(inputs, workspace, n_rows_from_first, [&](std::span<const Part> parts, ConstTensorView rows) {
    workspace.rows.clear();
    std::int32_t end = 0;
    for (const Part& part : parts) {
      end += n_rows_from_first(part);
      for (const std::int32_t id : wanted_of(part)) workspace.rows.push_back(end - (end_of(part) - id));
    }
    const auto n_rows = static_cast<std::int64_t>(workspace.rows.size());
    if (n_rows == 0) return;
    const TensorView hidden = workspace.last.resize(backend_, {n_rows, config_.hidden});
    backend_.gather_rows(rows, workspace.rows, hidden);
    for (std::int64_t row = 0; row < n_rows; row += kClassRows) {
      read_head(hidden.slice_rows(row, std::min(kClassRows, n_rows - row)));
    }
  });
}

}  // namespace qasr
