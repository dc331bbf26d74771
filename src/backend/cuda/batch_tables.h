// A SequenceBatch as kernels read it: one array of i32 in GPU memory, offsets known from the numbers of rows and
// sequences alone, so that a recorded graph finds the tables of every later step.
//
//   row_begin      [n_sequences + 1]
//   n_past         [n_sequences]
//   page_begin     [n_sequences + 1]  into pages
//   row_sequence   [n_rows]           which sequence a row belongs to
//   tiles          [2 * n_tiles]      (sequence, first row) of up to kTileRows rows of one sequence
//   pages          [sum of pages]
#pragma once

#include <cstdint>
#include <vector>

#include "backend/backend.h"

namespace qasr::cuda {

constexpr std::int32_t kTileRows = 64;

struct BatchTables {
  const std::int32_t *row_begin, *n_past, *page_begin, *row_sequence, *tiles, *pages;
};

/// True if every sequence has one row: a decode step.
inline bool is_decode_step(const SequenceBatch& batch) {
  return batch.n_rows() == static_cast<std::int64_t>(batch.n_sequences());
}

inline std::int64_t count_tiles(const SequenceBatch& batch) {
  std::int64_t n = 0;
  for (std::size_t s = 0; s < batch.n_sequences(); ++s) {
    n += (batch.row_begin[s + 1] - batch.row_begin[s] + kTileRows - 1) / kTileRows;
  }
  return n;
}

inline BatchTables locate_tables(const std::int32_t* memory, const SequenceBatch& batch) {
  const auto n_sequences = static_cast<std::int64_t>(batch.n_sequences());
  BatchTables t{};
  t.row_begin = memory;
  t.n_past = t.row_begin + n_sequences + 1;
  t.page_begin = t.n_past + n_sequences;
  t.row_sequence = t.page_begin + n_sequences + 1;
  t.tiles = t.row_sequence + batch.n_rows();
  t.pages = t.tiles + 2 * count_tiles(batch);
  return t;
}

/// All tables, in order.
std::vector<std::int32_t> make_tables(const SequenceBatch& batch);

}  // namespace qasr::cuda
