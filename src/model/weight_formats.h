// Which format each kind of matrix gets when a user chooses one for the model.
#pragma once

#include "qasr/options.h"

namespace qasr {

enum class MatrixRole {
  kEncoder,       ///< convolutions, encoder layers, projector: below 8 bits languages other than English break first
  kDecoderLayer,  ///< what a decode step mostly reads
  kEmbedding,     ///< the embedding and the head tied to it
};

constexpr WeightFormat matrix_format(WeightFormat model, MatrixRole role) {
  const bool is_4_bit = model == WeightFormat::kQ4 || model == WeightFormat::kQ4G32;
  if (model == WeightFormat::kAuto || (is_4_bit && role != MatrixRole::kDecoderLayer)) return WeightFormat::kQ8;
  return model;
}

}  // namespace qasr
