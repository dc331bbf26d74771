// Activations rounded to 8 bits in blocks of 32: the left factor of quantised products (isa/quant_layout.h).
#pragma once

#include <cstddef>

#include "backend/cpu/context.h"
#include "backend/cpu/packed_matrix.h"

namespace qasr::cpu {

/// Records that match one segment of the matrix.
isa::RecordLayout record_layout(const Context& context, const PackedMatrix& matrix);

/// Rows of kQ8Rows (row_sink.h) can be the matrix's left factor.
bool takes_rounded_rows(const PackedMatrix& matrix);

/// x [n_rows, depth] -> n_rows records.
void quantize_rows(const Context& context, const float* x, std::size_t n_rows, std::size_t depth,
                   const isa::RecordLayout& layout, std::byte* records);

}  // namespace qasr::cpu
