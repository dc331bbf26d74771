// Words of a text, and which of them were heard: for delays of single words.
#include <algorithm>
#include <cstdint>

#include "bench/stream_bench.h"

namespace qasr::bench {
namespace {

constexpr std::size_t kBand = 400;  // words around the diagonal that are looked at

}  // namespace

std::vector<std::string> plain_words(std::string_view text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if ((lower >= 'a' && lower <= 'z') || lower == '\'') {
      words.back() += lower;
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

// Edit distance inside a band, and the way back.
std::vector<std::pair<std::size_t, std::size_t>> equal_words(const std::vector<std::string>& spoken,
                                                             const std::vector<std::string>& heard) {
  const std::size_t n = spoken.size(), m = heard.size(), width = 2 * kBand + 1;
  constexpr std::uint32_t kFar = 1U << 30;
  std::vector<std::uint32_t> cost((n + 1) * width, kFar);
  const auto column_of = [&](std::size_t row) { return n == 0 ? 0 : row * m / n; };  // the diagonal
  const auto at = [&](std::size_t row, std::size_t column) -> std::uint32_t* {
    const std::size_t middle = column_of(row);
    if (column > m || column + kBand < middle || column > middle + kBand) return nullptr;
    return &cost[row * width + (column + kBand - middle)];
  };
  const auto value = [&](std::size_t row, std::size_t column) {
    const std::uint32_t* cell = at(row, column);
    return cell == nullptr ? kFar : *cell;
  };
  for (std::size_t row = 0; row <= n; ++row) {
    const std::size_t middle = column_of(row);
    for (std::size_t column = middle - std::min(middle, kBand); column <= std::min(m, middle + kBand); ++column) {
      std::uint32_t best = row == 0 && column == 0 ? 0 : kFar;
      if (row > 0) best = std::min(best, value(row - 1, column) + 1);
      if (column > 0) best = std::min(best, value(row, column - 1) + 1);
      if (row > 0 && column > 0) {
        best = std::min(best, value(row - 1, column - 1) + (spoken[row - 1] == heard[column - 1] ? 0U : 1U));
      }
      *at(row, column) = best;
    }
  }
  std::vector<std::pair<std::size_t, std::size_t>> pairs;
  for (std::size_t row = n, column = m; row > 0 && column > 0;) {
    const bool equal = spoken[row - 1] == heard[column - 1];
    if (value(row, column) == value(row - 1, column - 1) + (equal ? 0U : 1U)) {
      --row;
      --column;
      if (equal) pairs.emplace_back(row, column);
    } else if (value(row, column) == value(row - 1, column) + 1) {
      --row;
    } else {
      --column;
    }
  }
  std::reverse(pairs.begin(), pairs.end());
  return pairs;
}

std::size_t word_edits(const std::vector<std::string>& spoken, const std::vector<std::string>& heard) {
  std::vector<std::size_t> row(heard.size() + 1);
  for (std::size_t column = 0; column < row.size(); ++column) row[column] = column;
  for (std::size_t n = 0; n < spoken.size(); ++n) {
    std::size_t diagonal = row[0]++;
    for (std::size_t column = 1; column < row.size(); ++column) {
      const std::size_t replaced = diagonal + (spoken[n] == heard[column - 1] ? 0 : 1);
      diagonal = row[column];
      row[column] = std::min({row[column] + 1, row[column - 1] + 1, replaced});
    }
  }
  return row.back();
}

}  // namespace qasr::bench
