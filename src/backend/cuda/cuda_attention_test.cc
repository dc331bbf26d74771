// The GPU backend's attention and the operation that fills its cache, against the reference backend.
#include <numeric>

#include "backend/cuda/cuda_test_util.h"

namespace qasr::test {
namespace {

// Softmax weights are rounded to bf16 before they meet the values, which are of size 1: sums of rounding errors of
// 2^-9 weighted by the softmax.
constexpr float kAttentionTol = 4e-3f;
// Queries and keys of the cache: product, norm and rotation of values rounded to bf16 in between.
constexpr float kQueryTol = 1.5e-2f;

class CudaAttentionTest : public CudaTest {};

TEST_F(CudaAttentionTest, BlocksAgreeWithReference) {
  const std::vector<std::vector<std::int32_t>> layouts = {
      {0, 1}, {0, 7, 8, 40}, {0, 104, 208, 221}, {0, 300}, {0, 64, 128, 129}};
  for (std::int64_t head_dim : {64, 128}) {
    for (const auto& begin : layouts) {
      for (float scale : {2.0f, 60.0f}) {  // large scores: a plain exponential would overflow
        const int n_heads = 3;
        const std::int64_t width = n_heads * head_dim, rows = begin.back();
        const Floats qkv = bf16_floats(static_cast<std::size_t>(rows * 3 * width), 1, scale);
        const auto run = [&](Backend& backend) {
          const ActInput input(backend, qkv, {rows, 3 * width});
          const ActOutput y(backend, {rows, width});
          backend.attention_blocks(input, n_heads, {begin}, y);
          return y.read();
        };
        expect_close_bf16(run(*cuda_), run(*reference_), kAttentionTol * scale,
                          "head_dim " + std::to_string(head_dim) + ", rows " + std::to_string(rows));
      }
    }
  }
}

struct Model {
  int n_heads, n_kv_heads, head_dim, page_tokens;
  static constexpr int kLayers = 2, kHidden = 64, kMaxPositions = 1400, kPages = 100;
  std::int64_t qkv_rows() const { return (n_heads + 2 * n_kv_heads) * head_dim; }
  std::int64_t width() const { return n_heads * head_dim; }
  std::string name() const { return Shape({n_heads, n_kv_heads, head_dim, page_tokens}).to_string(); }
};

/// Weights and a cache on one backend; sequences get pages in a scattered order.
class Decoder {
 public:
  Decoder(Backend& backend, const Model& model, DType cache_dtype = DType::kBf16,
          WeightFormat weights = WeightFormat::kBf16)
      : backend_(backend),
        model_(model),
        input_norm_(backend, random_floats(Model::kHidden, 4), {Model::kHidden}),
        q_norm_(backend, random_floats(dim(), 2), {model.head_dim}),
        k_norm_(backend, random_floats(dim(), 3), {model.head_dim}),
        cos_(backend, angles(true), {Model::kMaxPositions, model.head_dim / 2}),
        sin_(backend, angles(false), {Model::kMaxPositions, model.head_dim / 2}) {
    const TestTensor w(bf16_floats(static_cast<std::size_t>(model.qkv_rows() * Model::kHidden), 1),
                       {model.qkv_rows(), Model::kHidden}, DType::kBf16);
    qkv_ = backend.make_linear({&w.tensor, 1}, {}, weights);
    cache_ = backend.make_kv_cache(
        {Model::kLayers, model.n_kv_heads, model.head_dim, model.page_tokens, Model::kPages, cache_dtype});
  }

  struct Result {
    Floats queries, attended;
  };
  /// n_rows[s] rows of x belong to sequence ids[s], which has seen n_past[s] positions. Attention starts from
  /// `queries`, if given, so that backends can be compared on equal inputs.
  Result step(const Floats& x, const std::vector<int>& ids, const std::vector<std::int32_t>& n_past,
              const std::vector<std::int32_t>& n_rows, int layer, const Floats* queries = nullptr) {
    Result result;
    with_batch(ids, n_past, n_rows, [&](const SequenceBatch& batch) {
      const std::int64_t rows = batch.n_rows();
      const ActInput input(backend_, x, {rows, Model::kHidden});
      const ActOutput q(backend_, {rows, model_.width()}), y(backend_, {rows, model_.width()});
      backend_.qkv_norm_rope_append(input, parameters(layer), batch, *cache_, q);
      result.queries = q.read();
      const ActInput given(backend_, queries == nullptr ? result.queries : *queries, {rows, model_.width()});
      backend_.attention_causal(given, model_.n_heads, layer, batch, *cache_, y);
      result.attended = y.read();
    });
    return result;
  }

  /// Keys and values only.
  void append(const Floats& x, const std::vector<int>& ids, const std::vector<std::int32_t>& n_past,
              const std::vector<std::int32_t>& n_rows, int layer) {
    with_batch(ids, n_past, n_rows, [&](const SequenceBatch& batch) {
      const ActInput input(backend_, x, {batch.n_rows(), Model::kHidden});
      const ActOutput no_queries(backend_, {0, model_.width()});
      backend_.qkv_norm_rope_append(input, parameters(layer), batch, *cache_, no_queries);
    });
  }

  /// The first pages of sequence `to` become copies of those of `from`.
  void copy_pages(int from, int to, int n_pages) {
    for (int page = 0; page < n_pages; ++page) backend_.copy_kv_page(*cache_, page_of(from, page), page_of(to, page));
  }

  /// A decode step through the fused operation, from rows of the residual stream.
  Floats fused_step(const Floats& x, const std::vector<int>& ids, const std::vector<std::int32_t>& n_past, int layer) {
    Floats attended;
    with_batch(ids, n_past, std::vector<std::int32_t>(ids.size(), 1), [&](const SequenceBatch& batch) {
      const std::int64_t rows = batch.n_rows();
      const Input input(backend_, x, {rows, Model::kHidden});
      const ActOutput normed(backend_, {rows, Model::kHidden}), q(backend_, {rows, model_.width()});
      const ActOutput y(backend_, {rows, model_.width()});
      backend_.norm_attention(input, {input_norm_.view(), 1e-6f}, parameters(layer), batch, *cache_, {normed, q}, y);
      attended = y.read();
    });
    return attended;
  }

 private:
  template <typename Use>
  void with_batch(const std::vector<int>& ids, const std::vector<std::int32_t>& n_past,
                  const std::vector<std::int32_t>& n_rows, Use use) {
    std::vector<std::int32_t> row_begin = {0};
    std::vector<std::vector<std::int32_t>> pages;
    std::vector<std::span<const std::int32_t>> page_spans;
    for (std::size_t s = 0; s < ids.size(); ++s) {
      row_begin.push_back(row_begin.back() + n_rows[s]);
      const int n_pages = (n_past[s] + n_rows[s] + model_.page_tokens - 1) / model_.page_tokens;
      std::vector<std::int32_t> list;
      for (int page = 0; page < n_pages; ++page) list.push_back(page_of(ids[s], page));
      pages.push_back(list);
    }
    for (const auto& list : pages) page_spans.emplace_back(list);
    SequenceBatch batch{row_begin, n_past, page_spans};
    const std::int64_t n_tables = backend_.batch_table_size(batch);
    const auto tables = backend_.allocate(static_cast<std::size_t>(n_tables) * 4);
    if (n_tables > 0) {
      batch.tables = {tables->data(), DType::kI32, {n_tables}};
      backend_.upload_batch(batch, {tables->data(), DType::kI32, {n_tables}});
    }
    use(batch);
  }

  Backend::QkvNormRope parameters(int layer) const {
    return {qkv_.get(), q_norm_.view(), k_norm_.view(), 1e-6f, cos_.view(), sin_.view(), layer};
  }
  static std::int32_t page_of(int sequence, int page) { return (page * 4 + sequence) * 11 % Model::kPages; }
  std::size_t dim() const { return static_cast<std::size_t>(model_.head_dim); }
  Floats angles(bool cosine) const {
    Floats table;
    for (int position = 0; position < Model::kMaxPositions; ++position) {
      for (int i = 0; i < model_.head_dim / 2; ++i) {
        const double angle = position * std::pow(1e6, -2.0 * i / model_.head_dim);
        table.push_back(static_cast<float>(cosine ? std::cos(angle) : std::sin(angle)));
      }
    }
    return table;
  }
  Backend& backend_;
  Model model_;
  Input input_norm_, q_norm_, k_norm_, cos_, sin_;
  std::unique_ptr<LinearWeight> qkv_;
  std::unique_ptr<KvCache> cache_;
};

Floats tokens(std::int64_t n, std::uint32_t seed) {
  return bf16_floats(static_cast<std::size_t>(n * Model::kHidden), seed);
}

TEST_F(CudaAttentionTest, CausalAgreesWithReference) {
  for (const Model& model : {Model{4, 2, 64, 64}, {16, 8, 128, 64}, {3, 3, 64, 128}, {8, 2, 128, 64}}) {
    Decoder gpu(*cuda_, model), reference(*reference_, model);
    int call = 0;
    const auto both = [&](const Floats& x, const std::vector<int>& ids, const std::vector<std::int32_t>& n_past,
                          const std::vector<std::int32_t>& n_rows, int layer) {
      const std::string what = model.name() + " call " + std::to_string(call++);
      const auto found = gpu.step(x, ids, n_past, n_rows, layer);
      const auto expected = reference.step(x, ids, n_past, n_rows, layer, &found.queries);
      expect_close_bf16(found.queries, expected.queries, kQueryTol, what + " queries");
      // The cached keys of the two differ by a rounding here and there, which moves the weights.
      expect_close_bf16(found.attended, expected.attended, 3 * kQueryTol, what + " attention");
    };
    both(tokens(229, 1), {0, 1, 2}, {0, 0, 0}, {199, 1, 29}, 0);  // prefill of three
    both(tokens(229, 2), {0, 1, 2}, {0, 0, 0}, {199, 1, 29}, 1);
    both(tokens(3, 3), {2, 0, 1}, {29, 199, 1}, {1, 1, 1}, 0);  // a decode step, in another order
    both(tokens(44, 4), {0, 3}, {200, 0}, {4, 40}, 0);          // a few rows after, and a newcomer
    both(tokens(1000, 5), {0}, {204}, {1000}, 0);               // a long one
    both(tokens(2, 6), {3, 0}, {40, 1204}, {1, 1}, 0);          // lengths far apart
  }
}

// Where the two backends' values round to neighbouring codes of e4m3, they are 2^-3 of their size apart; few are.
constexpr float kFp8RelativeTol = 0.05f;

void expect_close_fp8(const Floats& got, const Floats& expected, const std::string& what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  double error = 0, size = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    error += (got[i] - expected[i]) * (got[i] - expected[i]);
    size += expected[i] * expected[i];
    ASSERT_LE(std::abs(got[i] - expected[i]), std::abs(expected[i]) / 6 + 0.5f) << what << " at " << i;
  }
  EXPECT_LE(std::sqrt(error / size), kFp8RelativeTol) << what;
}

// Lengths on both sides of pages, tiles and splits; numbers of sequences on both sides of the skinny kernels' limit.
// What a step appends is read by the next.
TEST_F(CudaAttentionTest, FusedDecodeStepsAgreeWithReference) {
  for (DType dtype : {DType::kBf16, DType::kF8E4M3}) {
    for (const Model& model : {Model{4, 2, 64, 64}, {16, 8, 128, 64}, {3, 3, 64, 128}, {8, 2, 128, 64}}) {
      Decoder gpu(*cuda_, model, dtype), reference(*reference_, model, dtype);
      const auto step = [&](const std::vector<int>& ids, const std::vector<std::int32_t>& n_past, std::uint32_t seed,
                            int layer = 1) {
        const Floats x = tokens(static_cast<std::int64_t>(ids.size()), seed);
        const Floats found = gpu.fused_step(x, ids, n_past, layer);
        const Floats expected = reference.fused_step(x, ids, n_past, layer);
        const std::string what = model.name() + " " + std::string(dtype_name(dtype)) + " step " + std::to_string(seed);
        if (dtype == DType::kBf16) return expect_close_bf16(found, expected, 3 * kQueryTol, what);
        expect_close_fp8(found, expected, what);
      };
      step({0, 1}, {0, 0}, 1);  // nothing in the cache
      const Floats prompts = tokens(62 + 126 + 1 + 900, 2);
      gpu.step(prompts, {0, 1, 2, 3}, {1, 1, 0, 0}, {62, 126, 1, 900}, 1);
      reference.step(prompts, {0, 1, 2, 3}, {1, 1, 0, 0}, {62, 126, 1, 900}, 1);
      std::vector<std::int32_t> n_past = {63, 127, 1, 900};
      for (std::uint32_t round = 0; round < 3; ++round) {
        step({0, 1, 2, 3}, n_past, 3 + round);
        for (std::int32_t& n : n_past) ++n;
      }
      step({3}, {n_past[3]}, 9);
      const std::vector<int> seven = {6, 5, 4, 3, 2, 1, 0};
      const std::vector<std::int32_t> lengths = {3, 63, 1, 32, 31, 60, 17};
      const Floats short_prompts = tokens(207, 10);
      gpu.step(short_prompts, seven, std::vector<std::int32_t>(7, 0), lengths, 0);
      reference.step(short_prompts, seven, std::vector<std::int32_t>(7, 0), lengths, 0);
      step(seven, lengths, 11, 0);
    }
  }
}

// Keys and values alone, of few rows and of many, are what they are with queries, but for the order of sums.
TEST_F(CudaAttentionTest, KeysAndValuesWithoutQueriesAreTheSame) {
  std::vector<WeightFormat> formats = eight_bit_formats();
  formats.push_back(WeightFormat::kBf16);
  const Model model{16, 8, 128, 64};
  for (const WeightFormat format : formats) {
    for (const std::int32_t n : {1, 5, 150}) {
      Decoder whole(*cuda_, model, DType::kBf16, format), keys(*cuda_, model, DType::kBf16, format);
      const Floats x = tokens(n + 20, 1), next = tokens(2, 2);
      whole.step(x, {0, 1}, {0, 0}, {n, 20}, 1);
      keys.append(x, {0, 1}, {0, 0}, {n, 20}, 1);
      expect_close_bf16(keys.fused_step(next, {0, 1}, {n, 20}, 1), whole.fused_step(next, {0, 1}, {n, 20}, 1),
                        3 * kQueryTol, std::to_string(static_cast<int>(format)) + ", " + std::to_string(n) + " rows");
    }
  }
}

// A sequence that goes on from copies of another's pages finds what the other finds.
TEST_F(CudaAttentionTest, CopiedPagesHoldTheSame) {
  for (DType dtype : {DType::kBf16, DType::kF8E4M3}) {
    const Model model{16, 8, 128, 64};
    Decoder gpu(*cuda_, model, dtype);
    gpu.step(tokens(100, 1), {0}, {0}, {100}, 1);
    gpu.copy_pages(0, 2, 2);
    const Floats x = tokens(1, 2);
    const Floats original = gpu.fused_step(x, {0}, {100}, 1);
    expect_same(gpu.fused_step(x, {2}, {100}, 1), original, std::string(dtype_name(dtype)));
  }
}

// The cache in fp8, many rows at a time.
TEST_F(CudaAttentionTest, CausalOverAnFp8CacheAgreesWithReference) {
  for (const Model& model : {Model{4, 2, 64, 64}, {16, 8, 128, 64}}) {
    Decoder gpu(*cuda_, model, DType::kF8E4M3), reference(*reference_, model, DType::kF8E4M3);
    std::int32_t done = 0;
    for (std::int32_t n : {199, 1, 40, 300}) {
      const Floats x = tokens(n, static_cast<std::uint32_t>(n));
      const auto found = gpu.step(x, {2}, {done}, {n}, 0);
      const auto expected = reference.step(x, {2}, {done}, {n}, 0, &found.queries);
      expect_close_fp8(found.attended, expected.attended, model.name() + " " + std::to_string(n) + " rows");
      done += n;
    }
  }
}

TEST_F(CudaAttentionTest, DecodeStepsAgreeWithPrefill) {
  const Model model{16, 8, 128, 64};
  const std::int32_t n = 130;
  const Floats x = tokens(n, 7);
  Decoder whole(*cuda_, model), stepped(*cuda_, model);
  const Floats prefill = whole.step(x, {0}, {0}, {n}, 0).attended;
  for (std::int32_t done = 0; done < n; ++done) {
    const Floats row = stepped.step(rows_of(x, Model::kHidden, done, 1), {0}, {done}, {1}, 0).attended;
    expect_close_bf16(row, rows_of(prefill, model.width(), done, 1), 3 * kQueryTol, "row " + std::to_string(done));
  }
}

TEST_F(CudaAttentionTest, ManySequencesEqualSinglesInADecodeStep) {
  const Model model{4, 2, 64, 64};
  const int n = 12;  // more than the skinny kernels take
  Decoder batched(*cuda_, model), single(*cuda_, model);
  std::vector<int> ids(n);
  std::iota(ids.begin(), ids.end(), 0);
  std::vector<std::int32_t> n_rows, ones(n, 1), zeros(n, 0);
  for (int s = 0; s < n; ++s) n_rows.push_back(1 + s * 2);
  const Floats x = tokens(std::accumulate(n_rows.begin(), n_rows.end(), 0), 8), next = tokens(n, 9);
  batched.step(x, ids, zeros, n_rows, 1);
  single.step(x, ids, zeros, n_rows, 1);
  const Floats together = batched.step(next, ids, n_rows, ones, 1).attended;
  for (int s = 0; s < n; ++s) {
    const auto at = static_cast<std::size_t>(s);
    const Floats alone = single.step(rows_of(next, Model::kHidden, s, 1), {s}, {n_rows[at]}, {1}, 1).attended;
    expect_close_bf16(alone, rows_of(together, model.width(), s, 1), 3 * kQueryTol, "sequence " + std::to_string(s));
  }
}

}  // namespace
}  // namespace qasr::test
