// Backend::choose_ids against choose_token, step by step over the same logits, as decode steps call it.
#pragma once

#include "backend/backend_test_util.h"
#include "backend/token_choice.h"

namespace qasr::test {

/// Options of every kind, the defaults among them: rows that keep their id.
inline std::vector<SamplingOptions> sampling_cases(int vocab) {
  return {{.temperature = 0.7},
          {},
          {.temperature = 1, .top_k = 1},
          {.temperature = 1, .top_k = 50},
          {.temperature = 1.5, .top_k = std::max(1, vocab - 1)},
          {.temperature = 1, .top_k = 10 * vocab},
          {.temperature = 1, .top_p = 0.9},
          {.temperature = 2, .top_p = 0.999},
          {.temperature = 1, .top_p = 1e-6},
          {.temperature = 0.4, .top_k = 9, .top_p = 0.8},
          {.temperature = 0.01},
          {.repetition_penalty = 1.3},
          {.repetition_penalty = 0.5},
          {.no_repeat_ngram_size = 1},
          {.no_repeat_ngram_size = 3},
          {.temperature = 1.5, .top_k = 12, .top_p = 0.95, .repetition_penalty = 1.2, .no_repeat_ngram_size = 2}};
}

enum class LogitKind {
  kSharp,  ///< a few likely tokens, as a decoder's
  kFlat,   ///< all about as likely
  kEqual,  ///< three values: nearly all are ties
};

inline Floats made_logits(LogitKind kind, std::size_t rows, std::size_t vocab, std::uint32_t seed) {
  Floats values = random_floats(rows * vocab, seed, kind == LogitKind::kFlat ? 0.5f : 9.0f);
  for (std::size_t at = 0; at < values.size(); ++at) {
    float& value = values[at];
    if (kind == LogitKind::kEqual) value = std::round(value / 9.0f);  // -1, -0, 0, 1
    if (kind == LogitKind::kSharp && at % vocab % 997 == seed % 7) value = 9.0f + std::abs(value);
    if (kind == LogitKind::kSharp && at % 13 == 5) value = -std::numeric_limits<float>::infinity();
  }
  return values;
}

/// Whether a draw of `uniform` from the processed logits may give `id` when probabilities are off by `slack`.
inline bool may_draw(const Floats& processed, std::int32_t id, double uniform, double slack) {
  const double largest = *std::max_element(processed.begin(), processed.end());
  double total = 0, before = 0, until = 0;
  for (std::size_t at = 0; at < processed.size(); ++at) {
    if (at == static_cast<std::size_t>(id)) before = total;
    total += std::exp(processed[at] - largest);
    if (at == static_cast<std::size_t>(id)) until = total;
  }
  return until > before && uniform >= before / total - slack && uniform <= until / total + slack;
}

/// Whether choose_token, off by `slack` in what it keeps and where it draws, may choose `id`.
inline bool may_choose(const RowChoice& choice, const Floats& logits, std::int32_t id, double slack) {
  if (choice.options.temperature <= 0) return false;
  std::uint64_t state = choice.random_state;
  const double uniform = next_uniform(state);
  for (const double shift : {-slack, 0.0, slack}) {
    RowChoice shifted = choice;
    if (shifted.options.top_p < 1) shifted.options.top_p = std::clamp(shifted.options.top_p + shift, 1e-12, 1.0);
    Floats processed = logits;
    process_logits(shifted.options, shifted.history, processed);
    if (may_draw(processed, id, uniform, slack)) return true;
  }
  return false;
}

/// One row per case; histories of different lengths; n_steps calls over one table. With a slack of 0 every id must be
/// choose_token's; with another one, one of a hundred may be its neighbour.
inline void check_choices(Backend& backend, LogitKind kind, std::size_t vocab, int n_steps, double slack) {
  const std::vector<SamplingOptions> cases = sampling_cases(static_cast<int>(vocab));
  const std::size_t rows = cases.size();
  std::vector<std::vector<std::int32_t>> histories(rows);
  std::vector<RowChoice> choices;
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t at = 0; at < row * 3; ++at) {
      histories[row].push_back(static_cast<std::int32_t>(at * (row % 2 == 0 ? 1 : 7) % 5 % vocab));
    }
    choices.push_back({cases[row], row * 1000 + vocab, histories[row]});
  }
  const std::vector<std::int32_t> table = make_choice_table(choices, n_steps);
  const auto table_buffer = backend.allocate(table.size() * 4 + 64), id_buffer = backend.allocate(rows * 4);
  const TensorView on_backend(table_buffer->data(), DType::kI32, {static_cast<std::int64_t>(table.size())});
  const TensorView id_view(id_buffer->data(), DType::kI32, {static_cast<std::int64_t>(rows)});
  backend.upload(table.data(), on_backend);
  std::vector<std::int32_t> ids(rows, -7);
  backend.upload(ids.data(), id_view);

  int n_drawn = 0, n_other = 0;
  for (int step = 0; step < n_steps; ++step) {
    const Floats logits = made_logits(kind, rows, vocab, static_cast<std::uint32_t>(step + 1));
    const Input input(backend, logits, {static_cast<std::int64_t>(rows), static_cast<std::int64_t>(vocab)});
    backend.choose_ids(input, on_backend, id_view);
    backend.download(id_view, ids.data());
    for (std::size_t row = 0; row < rows; ++row) {
      if (takes_most_likely(cases[row])) {
        EXPECT_EQ(ids[row], -7) << "a row without options was changed";
        continue;
      }
      const auto first = logits.begin() + static_cast<std::ptrdiff_t>(row * vocab);
      const Floats of_row(first, first + static_cast<std::ptrdiff_t>(vocab));
      Floats processed = of_row;
      RowChoice& choice = choices[row];
      choice.history = histories[row];
      const RowChoice before = choice;
      const std::int32_t expected = choose_token(choice, processed);
      ++n_drawn;
      if (ids[row] != expected) {
        ++n_other;
        EXPECT_TRUE(slack > 0 && may_choose(before, of_row, ids[row], slack))
            << "case " << row << " of a vocabulary of " << vocab << ", step " << step << ": " << ids[row]
            << ", expected " << expected;
      }
      ASSERT_TRUE(ids[row] >= 0 && static_cast<std::size_t>(ids[row]) < vocab);
      histories[row].push_back(ids[row]);
    }
  }
  EXPECT_LE(n_other * 100, n_drawn) << "kind " << static_cast<int>(kind) << ", vocabulary of " << vocab;
}

}  // namespace qasr::test
