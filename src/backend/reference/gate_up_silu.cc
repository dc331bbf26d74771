// y = silu(x Wg^T) * (x Wu^T). Rows [0, d_ff) of the stacked matrix are the gate, [d_ff, 2 d_ff) are up.
#include <cmath>

#include "backend/op_checks.h"
#include "backend/reference/reference_backend.h"
#include "backend/reference/scalar_math.h"

namespace qasr::reference {

void ReferenceBackend::gate_up_silu(ConstTensorView x, const LinearWeight& gate_up, TensorView y) {
  check_gate_up(x, gate_up, y);
  const auto& weight = static_cast<const Linear&>(gate_up);
  const std::int64_t d_ff = y.cols();
  for (std::int64_t row = 0; row < x.rows(); ++row) {
    const std::vector<float> in = weight.input_row(x, row);
    float* out = y.as<float>() + row * d_ff;
    for (std::int64_t feature = 0; feature < d_ff; ++feature) {
      const double gate = dot(in.data(), weight.row(feature), x.cols());
      const double up = dot(in.data(), weight.row(d_ff + feature), x.cols());
      out[feature] = static_cast<float>(gate / (1.0 + std::exp(-gate)) * up);
    }
  }
}

}  // namespace qasr::reference
