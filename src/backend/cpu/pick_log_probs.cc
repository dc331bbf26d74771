// Log-softmax at one id per row: the running sum of online softmax over parts of a row that fit the L1 cache.
#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/cpu/cpu_backend.h"
#include "backend/op_checks.h"

namespace qasr::cpu {
namespace {

constexpr std::size_t kPart = 1024;

float log_prob_at(const isa::KernelTable& isa, const float* logits, std::size_t n, std::int32_t id) noexcept {
  alignas(64) float part[kPart];  // softmax_step works in place
  isa::SoftmaxRow state{-std::numeric_limits<float>::infinity(), 0.0f};
  for (std::size_t begin = 0; begin < n; begin += kPart) {
    const std::size_t size = std::min(kPart, n - begin);
    std::copy_n(logits + begin, size, part);
    isa.softmax_step(part, size, round_up(size, isa.lanes), 1.0f, state, nullptr, 0);
  }
  return logits[id] - state.max - std::log(state.sum);
}

}  // namespace

void CpuBackend::pick_log_probs(ConstTensorView logits, ConstTensorView ids, TensorView log_probs) {
  check_pick_log_probs(logits, ids, log_probs);
  const auto n_rows = static_cast<std::size_t>(logits.rows()), vocab = static_cast<std::size_t>(logits.cols());
  const std::int32_t* chosen = ids.as<std::int32_t>();
  check_indices({chosen, n_rows}, logits.cols());
  context_.pool.parallel_for(n_rows, [&](std::size_t row, int) noexcept {
    log_probs.as<float>()[row] = log_prob_at(context_.isa, logits.as<float>() + row * vocab, vocab, chosen[row]);
  });
}

}  // namespace qasr::cpu
