// What must hold for any weights: batches equal single runs, decode steps equal prefill, long prompts in several passes
// equal the same rows one by one.
#include "model/text_decoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "backend/registry.h"
#include "model/search.h"
#include "support/some_ids.h"
#include "tensor/quant_blocks.h"
#include "tensor/widen.h"
#include "weights/synthetic_checkpoint.h"

namespace qasr {
namespace {

struct Setup {
  const char* name;
  BackendKind backend;
  WeightFormat weights;
};

// The row of the embedding that a decoder in this format uses.
void round_embedding(std::span<float> row, WeightFormat format) {
  if (format == WeightFormat::kStored) return;
  for (std::size_t begin = 0; begin < row.size(); begin += kQuantBlock) {
    const std::span<float> block = row.subspan(begin, std::min(kQuantBlock, row.size() - begin));
    const Q8Block q = quantize_q8(block);
    for (std::size_t i = 0; i < block.size(); ++i) block[i] = to_f32(q.scale) * static_cast<float>(q.q[i]);
  }
}

class TextDecoderTest : public ::testing::TestWithParam<Setup> {
 protected:
  TextDecoderTest()
      : model_(synthetic_model("tiny_b")),
        files_(synthetic_checkpoint(model_)),
        weights_(files_, model_.config),
        backend_(make_backend({.backend = GetParam().backend})),
        decoder_(model_.config.text, model_.config.audio_token_id, {weights_, *backend_, GetParam().weights}),
        pool_(*backend_, model_.config.text, 20000, DType::kF32) {}

  std::vector<float> logits() {
    std::vector<float> values(static_cast<std::size_t>(workspace_.logits.view().shape.elements()));
    backend_->download(workspace_.logits.view(), values.data());
    return values;
  }

  std::vector<float> prefill(KvSequence& sequence, const std::vector<std::int32_t>& ids, std::int32_t& next) {
    const PrefillInput input[] = {{&sequence, ids, {}}};
    decoder_.prefill(input, workspace_, std::span(&next, 1));
    return logits();
  }

  SyntheticModel model_;
  CheckpointFiles files_;
  WeightStore weights_;
  std::unique_ptr<Backend> backend_;
  TextDecoder decoder_;
  KvPool pool_;
  DecoderWorkspace workspace_;
};

TEST_P(TextDecoderTest, DecodeStepsEqualPrefillBitForBit) {
  const std::vector<std::int32_t> ids = some_ids(150, 1);
  KvSequence whole(pool_), stepped(pool_);
  std::int32_t next_whole = 0, next_stepped = 0;
  const std::vector<float> expected = prefill(whole, ids, next_whole);
  prefill(stepped, {ids.begin(), ids.begin() + 20}, next_stepped);
  KvSequence* const sequences[] = {&stepped};
  for (std::size_t i = 20; i < ids.size(); ++i) {
    decoder_.decode_step(sequences, std::span(&ids[i], 1), workspace_, std::span(&next_stepped, 1));
  }
  EXPECT_EQ(logits(), expected);
  EXPECT_EQ(next_stepped, next_whole);
  EXPECT_EQ(stepped.length(), 150);
}

TEST_P(TextDecoderTest, PromptLongerThanOnePassEqualsPieces) {
  const std::vector<std::int32_t> ids = some_ids(1300, 2);
  KvSequence whole(pool_), pieces(pool_);
  std::int32_t next = 0, next_pieces = 0;
  const std::vector<float> expected = prefill(whole, ids, next);
  prefill(pieces, {ids.begin(), ids.begin() + 700}, next_pieces);
  EXPECT_EQ(prefill(pieces, {ids.begin() + 700, ids.end()}, next_pieces), expected);
  EXPECT_EQ(next_pieces, next);
}

// A pass that pauses behind every layer, with other work in the pause; one that is given up leaves nothing behind.
TEST_P(TextDecoderTest, SlicesOfAPassEqualTheWholePass) {
  const std::vector<std::int32_t> ids = some_ids(90, 3), other = some_ids(30, 4);
  KvSequence whole(pool_), sliced(pool_), between(pool_);
  std::int32_t next_whole = 0, next_sliced = 0, ignored = 0;
  const std::vector<float> expected = prefill(whole, ids, next_whole);
  const std::span<const std::int32_t> head = std::span(ids).first(80);
  DecoderWorkspace workspace;
  TextDecoder::ExtendPass given_up{.inputs = {{&sliced, head, {}}}};
  EXPECT_FALSE(decoder_.extend_slice(given_up, workspace, [] { return true; }));
  EXPECT_EQ(sliced.length(), 0);
  TextDecoder::ExtendPass pass{.inputs = {{&sliced, head.first(50), {}}}};
  int n_slices = 1;
  while (!decoder_.extend_slice(pass, workspace, [] { return true; })) {
    prefill(between, other, ignored);
    ++n_slices;
  }
  EXPECT_EQ(n_slices, model_.config.text.n_layers);
  EXPECT_EQ(sliced.length(), 50);
  TextDecoder::ExtendPass rest{.inputs = {{&sliced, head.subspan(50), {}}}};
  EXPECT_TRUE(decoder_.extend_slice(rest, workspace, [] { return false; }));
  EXPECT_EQ(prefill(sliced, {ids.begin() + 80, ids.end()}, next_sliced), expected);
  EXPECT_EQ(next_sliced, next_whole);
}

// The choices behind the last rows of several inputs: of none, of some, of all rows of one.
TEST_P(TextDecoderTest, ExtendAndChooseGivesTheChoicesOfDecodeSteps) {
  const int n_rows[] = {30, 50, 18}, n_choices[] = {0, 20, 18};
  const std::vector<std::int32_t> ids = some_ids(100, 5);
  std::vector<KvSequence> sequences;
  std::vector<PrefillInput> inputs;
  std::vector<std::int32_t> expected_ids;
  std::vector<float> expected;
  DecoderWorkspace stepping;
  stepping.want_log_probs = true;
  for (int i = 0; i < 3; ++i) sequences.emplace_back(pool_);
  for (std::size_t i = 0; i < 3; ++i) {
    const std::span<const std::int32_t> own = std::span(ids).subspan(i, static_cast<std::size_t>(n_rows[i]));
    inputs.push_back({&sequences[i], own, {}});
    KvSequence alone(pool_);
    KvSequence* const one[] = {&alone};
    for (int row = 0; row < n_rows[i]; ++row) {
      std::int32_t next = 0;
      float log_prob = 0;
      decoder_.start_steps(own.subspan(static_cast<std::size_t>(row), 1), stepping);
      decoder_.enqueue_step(one, stepping);
      decoder_.read_step(stepping, std::span(&next, 1), std::span(&log_prob, 1));
      if (row < n_rows[i] - n_choices[i]) continue;
      expected_ids.push_back(next);
      expected.push_back(log_prob);
    }
  }
  std::vector<std::int32_t> next_ids(expected_ids.size());
  std::vector<float> log_probs(expected.size());
  decoder_.extend_and_choose(inputs, n_choices, workspace_, next_ids, log_probs);
  EXPECT_EQ(next_ids, expected_ids);
  EXPECT_EQ(log_probs, expected);
  // What all of it appended is what steps append.
  std::int32_t next = 0, next_alone = 0;
  KvSequence alone(pool_);
  const std::vector<float> whole = prefill(alone, {ids.begin(), ids.begin() + 31}, next_alone);
  EXPECT_EQ(prefill(sequences[0], {ids.begin() + 30, ids.begin() + 31}, next), whole);
}

TEST_P(TextDecoderTest, BatchedPrefillAndSearchEqualSingleRuns) {
  const std::size_t lengths[] = {3, 1200, 64, 65, 1};
  std::vector<std::vector<std::int32_t>> prompts;
  std::vector<std::vector<std::int32_t>> expected;
  for (const std::size_t n : lengths) {
    prompts.push_back(some_ids(n, static_cast<std::uint32_t>(n)));
    KvSequence alone(pool_);
    std::int32_t first = 0;
    prefill(alone, prompts.back(), first);
    const int max_tokens = 5 + static_cast<int>(n % 20);  // sequences leave the batch at different steps
    const SearchInput input[] = {{&alone, first, max_tokens}};
    expected.push_back(greedy_search(decoder_, input, {}, workspace_)[0].ids);
    EXPECT_EQ(expected.back().size(), static_cast<std::size_t>(max_tokens));
  }
  std::vector<KvSequence> sequences;
  std::vector<PrefillInput> inputs;
  for (std::size_t i = 0; i < prompts.size(); ++i) sequences.emplace_back(pool_);
  for (std::size_t i = 0; i < prompts.size(); ++i) inputs.push_back({&sequences[i], prompts[i], {}});
  std::vector<std::int32_t> first(prompts.size());
  decoder_.prefill(inputs, workspace_, first);
  std::vector<SearchInput> searches;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    searches.push_back({&sequences[i], first[i], static_cast<int>(expected[i].size())});
  }
  const std::vector<SearchResult> results = greedy_search(decoder_, searches, {}, workspace_);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    EXPECT_EQ(results[i].ids, expected[i]) << i;
    EXPECT_TRUE(results[i].truncated);
  }
}

TEST_P(TextDecoderTest, SearchStopsAtAnEndTokenAndReportsEveryToken) {
  KvSequence probe(pool_), sequence(pool_);
  std::int32_t first = 0;
  const std::vector<std::int32_t> prompt = some_ids(12, 7);
  prefill(probe, prompt, first);
  const SearchInput free_run[] = {{&probe, first, 12}};
  const std::vector<std::int32_t> ids = greedy_search(decoder_, free_run, {}, workspace_)[0].ids;
  prefill(sequence, prompt, first);
  const int eos[] = {-5, ids[6]};
  const std::size_t end = static_cast<std::size_t>(std::find(ids.begin(), ids.end(), ids[6]) - ids.begin());
  std::vector<std::int32_t> reported;
  const SearchInput input[] = {{&sequence, first, 12}};
  const SearchResult result =
      greedy_search(decoder_, input, eos, workspace_, [&](std::size_t, std::int32_t id) { reported.push_back(id); })[0];
  EXPECT_FALSE(result.truncated);
  EXPECT_EQ(result.ids, std::vector<std::int32_t>(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(end) + 1));
  EXPECT_EQ(reported, result.ids);
}

TEST_P(TextDecoderTest, AudioRowsReplacePlaceholdersInOrder) {
  // Splicing in the embeddings of ordinary ids must equal a prompt with those ids.
  const std::vector<std::int32_t> plain = some_ids(40, 9);
  std::vector<std::int32_t> spliced = plain;
  const std::int64_t hidden = model_.config.text.hidden;
  std::vector<float> rows;
  const HostTensor& table = weights_.tensor("model.embed_tokens.weight");
  for (std::size_t i = 10; i < 30; ++i) {
    std::vector<float> row(static_cast<std::size_t>(hidden));
    widen_to_f32(table, row, plain[i] * hidden);
    round_embedding(row, GetParam().weights);
    rows.insert(rows.end(), row.begin(), row.end());
    spliced[i] = model_.config.audio_token_id;
  }
  DeviceTensor audio;
  backend_->upload(rows.data(), audio.resize(*backend_, {20, hidden}));
  KvSequence a(pool_), b(pool_);
  std::int32_t next = 0;
  const std::vector<float> expected = prefill(a, plain, next);
  const PrefillInput input[] = {{&b, spliced, audio.view()}};
  decoder_.prefill(input, workspace_, std::span(&next, 1));
  EXPECT_EQ(logits(), expected);

  const PrefillInput too_few[] = {{&b, plain, audio.view()}};
  EXPECT_THROW(decoder_.prefill(too_few, workspace_, std::span(&next, 1)), Error);
}

// Two steps alone, then others come and go, in another order at every step.
TEST_P(TextDecoderTest, SequencesJoinAndLeaveBetweenStepsInAnyOrder) {
  constexpr std::size_t kSequences = 9, kSteps = 12;
  std::vector<std::vector<std::int32_t>> expected(kSequences);
  std::vector<KvSequence> sequences;
  std::vector<std::int32_t> ids(kSequences);
  for (std::size_t s = 0; s < kSequences; ++s) {
    const std::vector<std::int32_t> prompt = some_ids(5 + 13 * s, static_cast<std::uint32_t>(s));
    KvSequence alone(pool_);
    prefill(alone, prompt, ids[s]);
    const SearchInput input[] = {{&alone, ids[s], kSteps}};
    expected[s] = greedy_search(decoder_, input, {}, workspace_)[0].ids;
    prefill(sequences.emplace_back(pool_), prompt, ids[s]);
  }
  std::vector<std::vector<std::int32_t>> got(kSequences);
  for (std::size_t step = 0; step < 2 * kSteps; ++step) {
    std::vector<std::size_t> members;
    for (std::size_t i = 0; i < kSequences; ++i) {
      const std::size_t s =
          (i * 5 + step) % kSequences;  // 5 and 9 have no common divisor: every order starts elsewhere
      if ((step < 2 ? s == 0 : (s + step) % 3 != 0) && got[s].size() < kSteps) members.push_back(s);
    }
    if (members.empty()) continue;
    std::vector<KvSequence*> batch;
    std::vector<std::int32_t> batch_ids;
    for (const std::size_t s : members) {
      got[s].push_back(ids[s]);
      batch.push_back(&sequences[s]);
      batch_ids.push_back(ids[s]);
    }
    decoder_.decode_step(batch, batch_ids, workspace_, batch_ids);
    for (std::size_t i = 0; i < members.size(); ++i) ids[members[i]] = batch_ids[i];
  }
  for (std::size_t s = 0; s < kSequences; ++s) EXPECT_EQ(got[s], expected[s]) << s;
}

INSTANTIATE_TEST_SUITE_P(Backends, TextDecoderTest,
                         ::testing::Values(Setup{"reference", BackendKind::kReference, WeightFormat::kStored},
                                           Setup{"cpu", BackendKind::kCpu, WeightFormat::kStored},
                                           Setup{"cpu_q8", BackendKind::kCpu, WeightFormat::kQ8},
                                           Setup{"cpu_q4", BackendKind::kCpu, WeightFormat::kQ4},
                                           Setup{"cpu_q4g32", BackendKind::kCpu, WeightFormat::kQ4G32}),
                         [](const auto& setup) { return std::string(setup.param.name); });

}  // namespace
}  // namespace qasr
