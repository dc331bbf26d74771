// Synthetic weights: every element is a function of its tensor's official name, its index and a seed, so that two
// programs hold the same checkpoint without a file moving. The rule in words: docs/synthetic-checkpoints.md; the same
// rule in Python: tools/qasr_tools/synthetic.py.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "tensor/dtype.h"
#include "tensor/tensor_view.h"
#include "weights/spiky_rule.h"

namespace qasr {

enum class SyntheticRule {
  kHash,       ///< an integer hash of the index: any range of elements can be computed on its own
  kSpiky,      ///< the same with outlier channels (spiky_rule.h)
  kMiniature,  ///< a linear congruential generator, for the miniature model whose activations are known in f64
};

/// One tensor of a synthetic checkpoint.
class SyntheticTensor {
 public:
  /// @param official_name  "thinker.audio_tower.conv2d1.weight"
  /// @param seed           ignored by kMiniature
  /// @throws Error kInternal  a shape for which the rule has no scale (rank 3, say)
  SyntheticTensor(SyntheticRule rule, std::string_view official_name, const Shape& shape, std::uint32_t seed);

  /// Elements [begin, begin + out.size()), row-major, rounded to the element type (nearest, ties to even).
  void fill(std::int64_t begin, std::span<float> out) const noexcept;
  void fill(std::int64_t begin, std::span<bf16> out) const noexcept;
  void fill(std::int64_t begin, std::span<f16> out) const noexcept;

 private:
  // How the uniform u in [-1, 1) becomes a value.
  enum class Kind {
    kScaled,       // u * scale
    kNorm,         // (1 + u / 8) * scale
    kOutlierNorm,  // the same, four times that for one element in 64
  };

  template <typename T>
  void fill_as(std::int64_t begin, std::span<T> out) const noexcept;
  template <typename T>
  void fill_scaled(std::int64_t begin, std::span<T> out, float scale) const noexcept;
  template <typename T, Kind kKind>
  void fill_hash(std::int64_t begin, std::span<T> out, float scale) const noexcept;
  template <typename T>
  void fill_miniature(std::int64_t begin, std::span<T> out) const noexcept;

  SyntheticRule rule_;
  Kind kind_ = Kind::kScaled;
  float scale_ = 0, large_scale_ = 0;  // large_scale_: of the large rows
  RowFactors rows_;
  std::int64_t row_elements_ = 1;
  std::uint32_t start_ = 0;  // hash: the name's hash with the seed in it; miniature: the generator's first state
};

/// Input for encoder tests: log-mel-like values [n_mels, n_frames], row-major, in [-0.5, 1).
std::vector<float> synthetic_log_mel(int n_mels, int n_frames);

}  // namespace qasr
