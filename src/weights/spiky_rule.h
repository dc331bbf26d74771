// Outlier channels for synthetic weights: which rows of a tensor are how much larger, so that the activations of a
// synthetic model have the large entries that trained ones have. The rule in words: docs/synthetic-checkpoints.md.
#pragma once

#include <cstdint>
#include <string_view>

namespace qasr {

/// Factors beside the scale of the hash rule. A row is an output channel of a matrix, or an element of a vector.
struct RowFactors {
  double usual = 1, large = 1;
  int spacing = 0;  ///< rows r with r % spacing = 37 are the large ones; 0: there are none

  bool is_large(std::int64_t row) const { return spacing > 0 && row % spacing == 37; }
};

/// @param official_name  "thinker.model.layers.0.mlp.down_proj.weight"
RowFactors spiky_factors(std::string_view official_name);

}  // namespace qasr
