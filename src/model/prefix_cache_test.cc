// Sequences that begin with a kept prefix hold, bit for bit, what they would have computed alone.
#include "model/prefix_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "backend/registry.h"
#include "support/some_ids.h"
#include "weights/synthetic_checkpoint.h"

namespace qasr {
namespace {

class PrefixCacheTest : public ::testing::TestWithParam<BackendKind> {
 protected:
  PrefixCacheTest()
      : model_(synthetic_model("tiny_b")),
        files_(synthetic_checkpoint(model_)),
        weights_(files_, model_.config),
        backend_(make_backend({.backend = GetParam(), .n_threads = 2})),
        decoder_(model_.config.text, model_.config.audio_token_id, {weights_, *backend_, WeightFormat::kF32}),
        pool_(*backend_, model_.config.text, 4096, DType::kBf16) {}

  std::vector<float> logits_after(KvSequence& sequence, std::span<const std::int32_t> ids) {
    std::int32_t next = 0;
    const PrefillInput input[] = {{&sequence, ids, {}}};
    decoder_.prefill(input, workspace_, std::span(&next, 1));
    std::vector<float> logits(static_cast<std::size_t>(workspace_.logits.view().shape.elements()));
    backend_->download(workspace_.logits.view(), logits.data());
    return logits;
  }
  void prepare(PrefixCache& cache, std::span<const std::int32_t> prefix, std::int64_t max_rows = 1000) {
    int calls = 0;
    while (!cache.prepare(decoder_, prefix, max_rows, workspace_)) ASSERT_LT(++calls, 1000);
  }

  SyntheticModel model_;
  CheckpointFiles files_;
  WeightStore weights_;
  std::unique_ptr<Backend> backend_;
  TextDecoder decoder_;
  KvPool pool_;
  DecoderWorkspace workspace_;
};

TEST_P(PrefixCacheTest, SequencesThatShareEqualSequencesThatDoNot) {
  for (const std::size_t n_prefix : {9U, 64U, 65U, 200U}) {
    const std::vector<std::int32_t> prefix = some_ids(n_prefix, 1);
    PrefixCache cache(*backend_, pool_, 4);
    prepare(cache, prefix, 50);  // in several pieces
    std::vector<KvSequence> shared;
    for (std::uint32_t s = 0; s < 3; ++s) {
      std::vector<std::int32_t> ids = prefix;
      const std::vector<std::int32_t> rest = some_ids(70, 10 + s);
      ids.insert(ids.end(), rest.begin(), rest.end());
      KvSequence alone(pool_);
      const std::vector<float> expected = logits_after(alone, ids);

      KvSequence& sequence = shared.emplace_back(pool_);
      sequence.reserve(static_cast<int>(ids.size()));
      cache.begin(prefix, sequence);
      EXPECT_EQ(sequence.length(), static_cast<int>(n_prefix)) << "these backends copy pages";
      EXPECT_EQ(logits_after(sequence, std::span(ids).subspan(n_prefix)), expected) << n_prefix << ", sequence " << s;
    }
    // The first one's positions are untouched by those that came later: it goes on as if alone.
    KvSequence again(pool_);
    std::vector<std::int32_t> ids = prefix;
    const std::vector<std::int32_t> rest = some_ids(70, 10);
    ids.insert(ids.end(), rest.begin(), rest.end());
    ids.push_back(3);
    const std::int32_t three[] = {3};
    EXPECT_EQ(logits_after(shared[0], three), logits_after(again, ids));
  }
}

TEST_P(PrefixCacheTest, PagesComeBack) {
  const int n_free = pool_.n_free_pages();
  {
    PrefixCache cache(*backend_, pool_, 2);
    for (std::uint32_t p = 0; p < 5; ++p) prepare(cache, some_ids(100, p));  // two are kept, two pages each
    EXPECT_EQ(pool_.n_free_pages(), n_free - 4);
    KvSequence sequence(pool_);
    sequence.reserve(300);
    cache.begin(some_ids(100, 4), sequence);
    EXPECT_EQ(pool_.n_free_pages(), n_free - 4 - 4);  // 5 pages, one of them shared
    cache.drop_all();
    EXPECT_EQ(pool_.n_free_pages(), n_free - 5);
    EXPECT_EQ(sequence.length(), 100);
  }
  EXPECT_EQ(pool_.n_free_pages(), n_free);
}

TEST_P(PrefixCacheTest, UnknownAndUnfinishedPrefixesGiveNothing) {
  PrefixCache cache(*backend_, pool_, 2);
  KvSequence sequence(pool_);
  cache.begin(some_ids(100, 1), sequence);
  EXPECT_EQ(sequence.length(), 0);
  EXPECT_FALSE(cache.prepare(decoder_, some_ids(100, 1), 60, workspace_));
  cache.begin(some_ids(100, 1), sequence);
  EXPECT_EQ(sequence.length(), 0);
  EXPECT_TRUE(cache.prepare(decoder_, {}, 60, workspace_));
}

TEST_P(PrefixCacheTest, WithoutRoomItSaysSo) {
  KvSequence everything(pool_);
  everything.reserve(4096);
  PrefixCache cache(*backend_, pool_, 2);
  EXPECT_THROW(cache.prepare(decoder_, some_ids(10, 1), 60, workspace_), Error);
  EXPECT_TRUE(cache.empty());
}

INSTANTIATE_TEST_SUITE_P(Backends, PrefixCacheTest, ::testing::Values(BackendKind::kReference, BackendKind::kCpu),
                         [](const auto& test) { return test.param == BackendKind::kCpu ? "cpu" : "reference"; });

}  // namespace
}  // namespace qasr
