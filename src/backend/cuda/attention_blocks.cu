// Bidirectional attention inside each block of rows: the encoder's windows.
#include <cmath>
#include <vector>

#include "backend/cuda/attention_tile.cuh"
#include "backend/cuda/cuda_backend.h"
#include "backend/op_checks.h"

namespace qasr::cuda {
namespace {

// ---- device ---------------------------------------------------------------------------------------------------------

struct BlockKeys {
  const Bf16 *first_key, *first_value;
  std::int64_t stride;
  template <int kDim>
  __device__ void fetch(int index, int n_rows, Bf16* keys, Bf16* values) const {
    copy_tile<kDim>(first_key + index * stride, first_value + index * stride, stride, n_rows, keys, values);
  }
};

//   tiles [n_tiles, 3]  first row of the block, row after it, first row of the tile; grid (n_tiles, n_heads)
template <int kDim>
__global__ __launch_bounds__(kTileThreads) void blocks_kernel(const Bf16* qkv, const std::int32_t* tiles, int n_heads,
                                                              float scale, Bf16* y) {
  extern __shared__ uint4 shared[];
  const std::int32_t begin = tiles[3 * blockIdx.x], end = tiles[3 * blockIdx.x + 1], row = tiles[3 * blockIdx.x + 2];
  const std::int64_t width = static_cast<std::int64_t>(n_heads) * kDim, stride = 3 * width;
  const std::int64_t head = static_cast<std::int64_t>(blockIdx.y) * kDim;
  const QueryTile tile{qkv + row * stride + head,
                       y + row * width + head,
                       stride,
                       width,
                       min(kTileQueries, end - row),
                       row - begin,
                       end - begin,
                       scale};
  const Bf16* keys = qkv + begin * stride + width + head;
  attend_tile<kDim, 1, false>(tile, BlockKeys{keys, keys + width, stride}, reinterpret_cast<Bf16*>(shared));
}

// ---- launch ---------------------------------------------------------------------------------------------------------

template <int kDim>
void launch(Context& context, const Bf16* qkv, const std::int32_t* tiles, std::size_t n_tiles, int n_heads, Bf16* y) {
  constexpr int kShared = kTileSharedBytes<kDim, 1>;
  allow_shared_bytes(blocks_kernel<kDim>, kShared);
  const float scale = static_cast<float>(M_LOG2E / std::sqrt(static_cast<double>(kDim)));
  const dim3 grid(static_cast<unsigned>(n_tiles), static_cast<unsigned>(n_heads));
  blocks_kernel<kDim><<<grid, kTileThreads, kShared, context.stream()>>>(qkv, tiles, n_heads, scale, y);
  check_launch("attention_blocks");
}

std::vector<std::int32_t> make_tiles(const RowBlocks& blocks) {
  std::vector<std::int32_t> tiles;
  for (std::size_t block = 0; block + 1 < blocks.begin.size(); ++block) {
    const std::int32_t begin = blocks.begin[block], end = blocks.begin[block + 1];
    for (std::int32_t row = begin; row < end; row += kTileQueries) tiles.insert(tiles.end(), {begin, end, row});
  }
  return tiles;
}

}  // namespace

std::int64_t CudaBackend::block_table_size(const RowBlocks& blocks) const {
  std::int64_t n_tiles = 0;
  for (std::size_t block = 0; block + 1 < blocks.begin.size(); ++block) {
    n_tiles += ceil_div(blocks.begin[block + 1] - blocks.begin[block], kTileQueries);
  }
  return 3 * n_tiles;
}

void CudaBackend::upload_blocks(const RowBlocks& blocks, TensorView tables) {
  const std::vector<std::int32_t> tiles = make_tiles(blocks);
  QASR_CHECK(tables.dtype == DType::kI32 && tables.shape.elements() >= static_cast<std::int64_t>(tiles.size()));
  const Context::Use use(context_);
  context_.upload(tiles.data(), tables.data, tiles.size() * sizeof(std::int32_t));
}

void CudaBackend::attention_blocks(ConstTensorView qkv, int n_heads, const RowBlocks& blocks, TensorView y) {
  check_attention_blocks(qkv, n_heads, blocks, y, activation_dtype());
  const std::int64_t head_dim = y.cols() / n_heads;
  if (head_dim != 64 && head_dim != 128) {
    throw Error(ErrorCode::kModel, "cuda: head_dim is " + std::to_string(head_dim) + ", expected 64 or 128");
  }
  if (y.rows() == 0) return;
  const Context::Use use(context_);
  const auto n_tiles = static_cast<std::size_t>(block_table_size(blocks) / 3);
  const std::int32_t* on_gpu =
      blocks.tables.data != nullptr ? blocks.tables.as<std::int32_t>() : context_.upload_indices(make_tiles(blocks));
  if (head_dim == 64) {
    launch<64>(context_, qkv.as<Bf16>(), on_gpu, n_tiles, n_heads, y.as<Bf16>());
  } else {
    launch<128>(context_, qkv.as<Bf16>(), on_gpu, n_tiles, n_heads, y.as<Bf16>());
  }
}

}  // namespace qasr::cuda
