// Bidirectional attention inside each block of rows.
#include <algorithm>
#include <cmath>

#include "backend/op_checks.h"
#include "backend/reference/reference_backend.h"
#include "backend/reference/scalar_math.h"

namespace qasr::reference {
namespace {

// softmax(q . k / sqrt(head_dim)) . v for one query over keys and values `stride` floats apart.
void attend(const float* q, const float* k, const float* v, std::int64_t n_keys, std::int64_t stride,
            std::int64_t head_dim, float* y) {
  std::vector<double> weight(static_cast<std::size_t>(n_keys));
  double largest = -INFINITY;
  for (std::int64_t key = 0; key < n_keys; ++key) {
    const double score = dot(q, k + key * stride, head_dim) / std::sqrt(static_cast<double>(head_dim));
    weight[static_cast<std::size_t>(key)] = score;
    largest = std::max(largest, score);
  }
  double total = 0;
  for (double& w : weight) total += w = std::exp(w - largest);
  for (std::int64_t d = 0; d < head_dim; ++d) {
    double sum = 0;
    for (std::int64_t key = 0; key < n_keys; ++key) sum += weight[static_cast<std::size_t>(key)] * v[key * stride + d];
    y[d] = static_cast<float>(sum / total);
  }
}

}  // namespace

void ReferenceBackend::attention_blocks(ConstTensorView qkv, int n_heads, const RowBlocks& blocks, TensorView y) {
  check_attention_blocks(qkv, n_heads, blocks, y);
  const std::span<const std::int32_t> block_begin = blocks.begin;
  const std::int64_t width = y.cols(), head_dim = width / n_heads, stride = 3 * width;
  for (std::size_t block = 0; block + 1 < block_begin.size(); ++block) {
    const std::int64_t begin = block_begin[block], n_rows = block_begin[block + 1] - begin;
    for (int head = 0; head < n_heads; ++head) {
      const float* first = qkv.as<float>() + begin * stride + head * head_dim;
      for (std::int64_t row = 0; row < n_rows; ++row) {
        attend(first + row * stride, first + width, first + 2 * width, n_rows, stride, head_dim,
               y.as<float>() + (begin + row) * width + head * head_dim);
      }
    }
  }
}

}  // namespace qasr::reference
