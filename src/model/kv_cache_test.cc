#include "model/kv_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "backend/registry.h"

namespace qasr {
namespace {

const TextDecoderConfig kConfig = {.n_layers = 2, .n_heads = 2, .n_kv_heads = 1, .head_dim = 4};

class KvPoolTest : public ::testing::Test {
 protected:
  std::unique_ptr<Backend> backend_ = make_reference_backend();
  KvPool pool_{*backend_, kConfig, 5 * KvPool::kPageTokens - 1, DType::kF32};  // rounded up to 5 pages
};

TEST_F(KvPoolTest, SequencesTakeWholePagesAndNeverShareThem) {
  KvSequence a(pool_), b(pool_);
  a.reserve(1);
  b.reserve(KvPool::kPageTokens + 1);
  a.reserve(KvPool::kPageTokens + 1);
  EXPECT_EQ(a.pages().size(), 2U);
  EXPECT_EQ(b.pages().size(), 2U);
  std::vector<std::int32_t> pages(a.pages().begin(), a.pages().end());
  pages.insert(pages.end(), b.pages().begin(), b.pages().end());
  std::sort(pages.begin(), pages.end());
  EXPECT_EQ(std::adjacent_find(pages.begin(), pages.end()), pages.end());
  EXPECT_EQ(pool_.n_free_pages(), 1);
}

TEST_F(KvPoolTest, TooLittleRoomTakesNothing) {
  KvSequence a(pool_), b(pool_);
  a.reserve(3 * KvPool::kPageTokens);
  try {
    b.reserve(3 * KvPool::kPageTokens);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
    EXPECT_NE(std::string(error.what()).find("2 of 5 are free"), std::string::npos) << error.what();
  }
  EXPECT_TRUE(b.pages().empty());
  EXPECT_EQ(pool_.n_free_pages(), 2);
}

TEST_F(KvPoolTest, PagesReturnOnDestructionAndMove) {
  {
    KvSequence a(pool_);
    a.reserve(200);
    a.advance(200);
    KvSequence moved(std::move(a));
    EXPECT_EQ(moved.length(), 200);
    EXPECT_EQ(moved.capacity(), 256);
    EXPECT_EQ(pool_.n_free_pages(), 1);
    moved.truncate(10);
    EXPECT_EQ(moved.length(), 10);
    EXPECT_THROW(moved.truncate(11), Error);
  }
  EXPECT_EQ(pool_.n_free_pages(), 5);
}

TEST(KvPool, BytesPerPositionOfTheOfficialModels) {
  const TextDecoderConfig official = {.n_layers = 28, .n_heads = 16, .n_kv_heads = 8, .head_dim = 128};
  EXPECT_EQ(KvPool::bytes_per_position(official, DType::kBf16), 114688U);
  EXPECT_EQ(KvPool::bytes_per_position(official, DType::kF32), 229376U);
}

}  // namespace
}  // namespace qasr
