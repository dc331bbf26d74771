// The heap-based encoder against the textbook loop: find the lowest rank, merge its leftmost occurrence, repeat.
#include "text/bpe.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <utility>

namespace qasr {
namespace {

std::array<std::int32_t, 256> identity_bytes() {
  std::array<std::int32_t, 256> ids;
  for (int byte = 0; byte < 256; ++byte) ids[static_cast<std::size_t>(byte)] = byte;
  return ids;
}

std::vector<std::int32_t> encode(const Bpe& bpe, std::string_view bytes) {
  Bpe::Scratch scratch;
  std::vector<std::int32_t> ids;
  bpe.encode(bytes, scratch, ids);
  return ids;
}

std::vector<std::int32_t> encode_slowly(const std::vector<Merge>& merges, std::string_view bytes) {
  std::map<std::pair<int, int>, std::size_t> ranks;
  for (std::size_t rank = 0; rank < merges.size(); ++rank) ranks[{merges[rank].left, merges[rank].right}] = rank;
  std::vector<std::int32_t> ids(bytes.size());
  for (std::size_t at = 0; at < bytes.size(); ++at) ids[at] = static_cast<unsigned char>(bytes[at]);
  for (;;) {
    std::size_t best_rank = merges.size(), best_at = 0;
    for (std::size_t at = 0; at + 1 < ids.size(); ++at) {
      const auto found = ranks.find({ids[at], ids[at + 1]});
      if (found != ranks.end() && found->second < best_rank) best_rank = found->second, best_at = at;
    }
    if (best_rank == merges.size()) return ids;
    ids[best_at] = merges[best_rank].result;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best_at) + 1);
  }
}

TEST(Bpe, WithoutMergesEveryByteIsAToken) {
  const Bpe bpe(identity_bytes(), {});
  EXPECT_EQ(encode(bpe, ""), std::vector<std::int32_t>());
  EXPECT_EQ(encode(bpe, std::string_view("a\0\xFF", 3)), (std::vector<std::int32_t>{'a', 0, 255}));
}

TEST(Bpe, LowestRankFirstThenLeftmost) {
  const std::vector<Merge> merges = {{'b', 'c', 300}, {'a', 'b', 301}, {'a', 'a', 302}, {302, 'a', 303}};
  const Bpe bpe(identity_bytes(), merges);
  EXPECT_EQ(encode(bpe, "abc"), (std::vector<std::int32_t>{'a', 300}));
  EXPECT_EQ(encode(bpe, "ab"), (std::vector<std::int32_t>{301}));
  EXPECT_EQ(encode(bpe, "aaaa"), (std::vector<std::int32_t>{302, 302}));
  EXPECT_EQ(encode(bpe, "aaaaa"), (std::vector<std::int32_t>{302, 303}));
}

TEST(Bpe, OfEqualPairsTheLastCounts) {
  const std::vector<Merge> merges = {{'a', 'b', 300}, {'b', 'c', 301}, {'a', 'b', 302}};
  const Bpe bpe(identity_bytes(), merges);
  EXPECT_EQ(encode(bpe, "abc"), (std::vector<std::int32_t>{'a', 301}));
  EXPECT_EQ(encode(bpe, "ab"), (std::vector<std::int32_t>{302}));
}

TEST(Bpe, AgreesWithTheTextbookLoopOnRandomMerges) {
  std::mt19937 random(20240229);
  for (int table = 0; table < 60; ++table) {
    // Later merges build on earlier results, but the ranks are shuffled: a merge may make a pair of lower rank.
    std::vector<Merge> merges;
    for (int k = 0; k < 40; ++k) {
      const auto symbol = [&] {
        const auto pick = static_cast<int>(random() % static_cast<unsigned>(4 + k));
        return pick < 4 ? 'a' + pick : 252 + pick;
      };
      const int left = symbol(), right = symbol();
      merges.push_back({left, right, 256 + k});
    }
    std::shuffle(merges.begin(), merges.end(), random);
    const Bpe bpe(identity_bytes(), merges);
    for (int round = 0; round < 100; ++round) {
      std::string bytes(random() % 60, 'a');
      for (char& byte : bytes) byte = static_cast<char>('a' + random() % 5);
      ASSERT_EQ(encode(bpe, bytes), encode_slowly(merges, bytes)) << bytes;
    }
  }
}

TEST(Bpe, LongPreTokensTakeNoQuadraticTime) {
  const std::vector<Merge> merges = {{'a', 'a', 256}, {256, 256, 257}, {257, 257, 258}};
  const Bpe bpe(identity_bytes(), merges);
  const std::vector<std::int32_t> ids = encode(bpe, std::string(1 << 20, 'a'));
  EXPECT_EQ(ids, std::vector<std::int32_t>(1 << 17, 258));
}

}  // namespace
}  // namespace qasr
