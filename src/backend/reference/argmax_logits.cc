// Product with the head, then the index of the largest logit; the lowest on ties. NaN never wins.
#include "backend/op_checks.h"
#include "backend/reference/reference_backend.h"

namespace qasr::reference {

void ReferenceBackend::argmax_logits(ConstTensorView x, const LinearWeight& head, TensorView logits,
                                     std::span<std::int32_t> ids) {
  check_argmax_logits(x, head, logits, ids);
  linear(x, head, logits, {});
  for (std::int64_t row = 0; row < x.rows(); ++row) {
    const float* values = logits.as<float>() + row * logits.cols();
    std::int64_t best = -1;
    for (std::int64_t id = 0; id < logits.cols(); ++id) {
      if (values[id] == values[id] && (best < 0 || values[id] > values[best])) best = id;
    }
    ids[static_cast<std::size_t>(row)] = static_cast<std::int32_t>(best < 0 ? 0 : best);
  }
}

}  // namespace qasr::reference
