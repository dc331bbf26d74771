#include "backend/cuda/batch_tables.h"

#include "backend/cuda/cuda_backend.h"

namespace qasr::cuda {

std::vector<std::int32_t> make_tables(const SequenceBatch& batch) {
  std::vector<std::int32_t> tables(batch.row_begin.begin(), batch.row_begin.end());
  tables.insert(tables.end(), batch.n_past.begin(), batch.n_past.end());
  std::int32_t n_pages = 0;
  for (const auto& pages : batch.pages) {
    tables.push_back(n_pages);
    n_pages += static_cast<std::int32_t>(pages.size());
  }
  tables.push_back(n_pages);
  for (std::size_t s = 0; s < batch.n_sequences(); ++s) {
    tables.insert(tables.end(), static_cast<std::size_t>(batch.row_begin[s + 1] - batch.row_begin[s]),
                  static_cast<std::int32_t>(s));
  }
  for (std::size_t s = 0; s < batch.n_sequences(); ++s) {
    for (std::int32_t row = batch.row_begin[s]; row < batch.row_begin[s + 1]; row += kTileRows) {
      tables.push_back(static_cast<std::int32_t>(s));
      tables.push_back(row);
    }
  }
  for (const auto& pages : batch.pages) tables.insert(tables.end(), pages.begin(), pages.end());
  return tables;
}

std::int64_t CudaBackend::batch_table_size(const SequenceBatch& batch) const {
  std::int64_t n_pages = 0;
  for (const auto& pages : batch.pages) n_pages += static_cast<std::int64_t>(pages.size());
  return 3 * static_cast<std::int64_t>(batch.n_sequences()) + 2 + batch.n_rows() + 2 * count_tiles(batch) + n_pages;
}

void CudaBackend::upload_batch(const SequenceBatch& batch, TensorView tables) {
  const Context::Use use(context_);
  const std::vector<std::int32_t> values = make_tables(batch);
  QASR_CHECK(tables.dtype == DType::kI32 && tables.shape.elements() >= static_cast<std::int64_t>(values.size()));
  context_.upload(values.data(), tables.data, values.size() * sizeof(std::int32_t));
}

// The tables of a batch, uploaded now if the caller has not done it.
const std::int32_t* CudaBackend::tables_of(const SequenceBatch& batch) {
  if (batch.tables.data != nullptr) return static_cast<const std::int32_t*>(batch.tables.data);
  const std::vector<std::int32_t> values = make_tables(batch);
  auto* memory = context_.scratch<std::int32_t>(Scratch::kTables, static_cast<std::int64_t>(values.size()));
  context_.upload(values.data(), memory, values.size() * sizeof(std::int32_t));
  return memory;
}

}  // namespace qasr::cuda
