// Attention inside blocks and over the paged cache, with the operation that fills the cache.
#include <numeric>

#include "backend/backend_test_util.h"

namespace qasr::test {
namespace {

class AttentionTest : public BackendTest {};
QASR_FOR_EVERY_ISA(AttentionTest);

Floats run_blocks(Backend& backend, const Floats& qkv, int n_heads, std::int64_t head_dim,
                  const std::vector<std::int32_t>& block_begin) {
  const std::int64_t rows = block_begin.back(), width = n_heads * head_dim;
  const Input input(backend, qkv, {rows, 3 * width});
  const Output y(backend, {rows, width});
  backend.attention_blocks(input, n_heads, {block_begin}, y);
  return y.read();
}

TEST_P(AttentionTest, BlocksAgreeWithReferenceAndWithEachBlockAlone) {
  const std::vector<std::vector<std::int32_t>> layouts = {{0, 1}, {0, 7, 8, 40}, {0, 104, 208, 221}, {0, 300}};
  for (std::int64_t head_dim : {10, 16, 20, 64, 128}) {
    for (const auto& begin : layouts) {
      const int n_heads = 3;
      const std::int64_t width = n_heads * head_dim;
      const std::string what = "head_dim " + std::to_string(head_dim) + ", rows " + std::to_string(begin.back());
      const Floats qkv = random_floats(static_cast<std::size_t>(begin.back() * 3 * width), 1, 2.0f);
      const Floats y = run_blocks(*cpu_, qkv, n_heads, head_dim, begin);
      expect_close(y, run_blocks(*reference_, qkv, n_heads, head_dim, begin), tolerance::kAttention, what);
      for (std::size_t block = 0; block + 1 < begin.size(); ++block) {
        const std::int32_t rows = begin[block + 1] - begin[block];
        const Floats alone =
            run_blocks(*cpu_, rows_of(qkv, 3 * width, begin[block], rows), n_heads, head_dim, {0, rows});
        expect_same(alone, rows_of(y, width, begin[block], rows), what + ", block alone");
      }
    }
  }
}

TEST_P(AttentionTest, BlocksSurviveLargeScores) {
  const std::vector<std::int32_t> begin = {0, 90};
  const Floats qkv = random_floats(90 * 3 * 32, 1, 60.0f);  // scores in the thousands: a plain exp would overflow
  expect_close(run_blocks(*cpu_, qkv, 2, 16, begin), run_blocks(*reference_, qkv, 2, 16, begin), 60 * 1e-4f, "large");
}

struct Model {
  int n_heads, n_kv_heads, head_dim, page_tokens;
  DType cache = DType::kF32;
  static constexpr int kLayers = 2, kHidden = 24, kMaxPositions = 600, kPages = 700;
  std::int64_t qkv_rows() const { return (n_heads + 2 * n_kv_heads) * head_dim; }
  std::int64_t width() const { return n_heads * head_dim; }
  std::string name() const {
    return Shape({n_heads, n_kv_heads, head_dim, page_tokens}).to_string() + " " + std::string(dtype_name(cache));
  }
};

/// Weights and a cache on one backend; sequences get pages in a scattered order.
class Decoder {
 public:
  Decoder(Backend& backend, const Model& model)
      : backend_(backend),
        model_(model),
        q_norm_(backend, random_floats(dim(), 2), {model.head_dim}),
        k_norm_(backend, random_floats(dim(), 3), {model.head_dim}),
        cos_(backend, angles(true), {Model::kMaxPositions, model.head_dim / 2}),
        sin_(backend, angles(false), {Model::kMaxPositions, model.head_dim / 2}) {
    const TestTensor w(random_floats(static_cast<std::size_t>(model.qkv_rows() * Model::kHidden), 1),
                       {model.qkv_rows(), Model::kHidden});
    qkv_ = backend.make_linear({&w.tensor, 1}, {}, WeightFormat::kStored);
    cache_ = backend.make_kv_cache(
        {Model::kLayers, model.n_kv_heads, model.head_dim, model.page_tokens, Model::kPages, model.cache});
  }

  /// Runs rows of several sequences. n_rows[s] rows of x belong to sequence ids[s], which has seen n_past[s] positions.
  /// Returns queries and attention side by side, [rows, 2 * width]; without queries, nothing.
  Floats step(const Floats& x, const std::vector<int>& ids, const std::vector<std::int32_t>& n_past,
              const std::vector<std::int32_t>& n_rows, int layer, bool with_queries = true) {
    std::vector<std::int32_t> row_begin = {0};
    std::vector<std::vector<std::int32_t>> pages;
    std::vector<std::span<const std::int32_t>> page_spans;
    for (std::size_t s = 0; s < ids.size(); ++s) {
      row_begin.push_back(row_begin.back() + n_rows[s]);
      const int n_pages = (n_past[s] + n_rows[s] + model_.page_tokens - 1) / model_.page_tokens;
      std::vector<std::int32_t> list;
      for (int page = 0; page < n_pages; ++page) list.push_back((page * 4 + ids[s]) * 11 % Model::kPages);
      pages.push_back(list);
    }
    for (const auto& list : pages) page_spans.emplace_back(list);
    const SequenceBatch batch{row_begin, n_past, page_spans};
    const std::int64_t rows = row_begin.back();
    const Input input(backend_, x, {rows, Model::kHidden});
    const Output q(backend_, {with_queries ? rows : 0, model_.width()}), y(backend_, {rows, model_.width()});
    backend_.qkv_norm_rope_append(
        input, {qkv_.get(), q_norm_.view(), k_norm_.view(), 1e-6f, cos_.view(), sin_.view(), layer}, batch, *cache_, q);
    if (!with_queries) return {};
    backend_.attention_causal(q, model_.n_heads, layer, batch, *cache_, y);
    const Floats queries = q.read(), attended = y.read();
    Floats both;
    for (std::int64_t row = 0; row < rows; ++row) {
      for (const Floats* part : {&queries, &attended}) {
        const Floats values = rows_of(*part, model_.width(), row, 1);
        both.insert(both.end(), values.begin(), values.end());
      }
    }
    return both;
  }

 private:
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
  Input q_norm_, k_norm_, cos_, sin_;
  std::unique_ptr<LinearWeight> qkv_;
  std::unique_ptr<KvCache> cache_;
};

std::vector<Model> models() {
  std::vector<Model> list;
  for (DType cache : {DType::kF32, DType::kBf16}) {
    list.insert(list.end(), {{4, 2, 16, 16, cache},
                             {6, 2, 10, 5, cache},
                             {3, 1, 32, 1, cache},
                             {5, 5, 8, 33, cache},
                             {4, 2, 128, 64, cache}});
  }
  return list;
}

Floats tokens(std::int64_t n, std::uint32_t seed) {
  return random_floats(static_cast<std::size_t>(n * Model::kHidden), seed);
}

TEST_P(AttentionTest, CausalAgreesWithReference) {
  for (const Model& model : models()) {
    Decoder cpu(*cpu_, model), reference(*reference_, model);
    const float tolerance = model.cache == DType::kBf16 ? tolerance::kAttentionBf16Cache : tolerance::kQkv;
    const auto both = [&](const Floats& x, const std::vector<int>& ids, const std::vector<std::int32_t>& n_past,
                          const std::vector<std::int32_t>& n_rows, int layer) {
      expect_close(cpu.step(x, ids, n_past, n_rows, layer), reference.step(x, ids, n_past, n_rows, layer), tolerance,
                   model.name() + " layer " + std::to_string(layer));
    };
    both(tokens(100, 1), {0, 1, 2}, {0, 0, 0}, {70, 1, 29}, 0);  // prefill of three
    both(tokens(100, 2), {0, 1, 2}, {0, 0, 0}, {70, 1, 29}, 1);
    both(tokens(3, 3), {2, 0, 1}, {29, 70, 1}, {1, 1, 1}, 0);  // a decode step, in another order
    both(tokens(44, 4), {0, 3}, {71, 0}, {4, 40}, 0);          // a few rows after, and a newcomer
  }
}

TEST_P(AttentionTest, PrefillEqualsStepsBitForBit) {
  for (const Model& model : models()) {
    const std::int32_t n = 150;
    const Floats x = tokens(n, 5);
    Decoder whole(*cpu_, model), stepped(*cpu_, model);
    const Floats prefill = whole.step(x, {0}, {0}, {n}, 0);
    Floats steps;
    for (std::int32_t done = 0; done < n;) {
      const std::int32_t count = done < 60 ? 1 : std::min<std::int32_t>(n - done, 1 + done % 13);
      const Floats y = stepped.step(rows_of(x, Model::kHidden, done, count), {0}, {done}, {count}, 0);
      steps.insert(steps.end(), y.begin(), y.end());
      done += count;
    }
    expect_same(steps, prefill, model.name());
  }
}

// Keys and values alone, of few rows and of many, are what they are with queries.
TEST_P(AttentionTest, KeysAndValuesWithoutQueriesAreTheSame) {
  for (const Model& model : models()) {
    for (const std::int32_t n : {1, 3, 90}) {
      const Floats x = tokens(n + 20, 8), next = tokens(2, 9);
      for (Backend* backend : {cpu_.get(), reference_.get()}) {
        Decoder whole(*backend, model), keys(*backend, model);
        whole.step(x, {0, 1}, {0, 0}, {n, 20}, 1);
        keys.step(x, {0, 1}, {0, 0}, {n, 20}, 1, false);
        expect_same(keys.step(next, {0, 1}, {n, 20}, {1, 1}, 1), whole.step(next, {0, 1}, {n, 20}, {1, 1}, 1),
                    model.name() + ", " + std::to_string(n) + " rows");
      }
    }
  }
}

// A page that comes from a sequence of NaNs is as good as a new one.
TEST_P(AttentionTest, WhatAnotherSequenceLeftInAPageDoesNotMatter) {
  for (const Model& model : models()) {
    for (const std::int32_t n : {1, 31, 70}) {
      const Floats x = tokens(n, 10), next = tokens(1, 11);
      Decoder fresh(*cpu_, model), used(*cpu_, model);
      const Floats expected = fresh.step(x, {0}, {0}, {n}, 1), expected_next = fresh.step(next, {0}, {n}, {1}, 1);
      used.step(Floats(static_cast<std::size_t>(90 * Model::kHidden), std::nanf("")), {0}, {0}, {90}, 1);
      expect_same(used.step(x, {0}, {0}, {n}, 1), expected, model.name() + ", " + std::to_string(n) + " rows");
      expect_same(used.step(next, {0}, {n}, {1}, 1), expected_next, model.name() + ", a step");
    }
  }
}

TEST_P(AttentionTest, BatchEqualsSinglesBitForBit) {
  for (const Model& model : models()) {
    const std::vector<std::int32_t> n_rows = {3, 90, 1, 17};
    const std::int32_t total = std::accumulate(n_rows.begin(), n_rows.end(), 0);
    const Floats x = tokens(total, 6), next = tokens(4, 7);
    Decoder batched(*cpu_, model);
    const Floats prefill = batched.step(x, {0, 1, 2, 3}, {0, 0, 0, 0}, n_rows, 1);
    const Floats decoded = batched.step(next, {0, 1, 2, 3}, n_rows, {1, 1, 1, 1}, 1);
    std::int32_t row = 0;
    for (int s = 0; s < 4; ++s) {
      const std::int32_t n = n_rows[static_cast<std::size_t>(s)];
      Decoder single(*cpu_, model);
      expect_same(single.step(rows_of(x, Model::kHidden, row, n), {s}, {0}, {n}, 1),
                  rows_of(prefill, 2 * model.width(), row, n), model.name() + " prefill");
      expect_same(single.step(rows_of(next, Model::kHidden, s, 1), {s}, {n}, {1}, 1),
                  rows_of(decoded, 2 * model.width(), s, 1), model.name() + " decode");
      row += n;
    }
  }
}

TEST_P(AttentionTest, RefusesPagesThatDoNotCoverTheRows) {
  const auto cache = cpu_->make_kv_cache({1, 2, 16, 16, 4, DType::kF32});
  const Input q(*cpu_, random_floats(20 * 64, 1), {20, 64});
  const Output y(*cpu_, {20, 64});
  const std::vector<std::int32_t> row_begin = {0, 20}, n_past = {0}, one_page = {0}, wild = {0, 4};
  for (const auto& pages : {one_page, wild}) {
    const std::span<const std::int32_t> span(pages);
    EXPECT_THROW(cpu_->attention_causal(q, 4, 0, {row_begin, n_past, {&span, 1}}, *cache, y), Error);
  }
}

}  // namespace
}  // namespace qasr::test
