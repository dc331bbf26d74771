#include "base/aligned_buffer.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <string>

#include "qasr/error.h"

namespace qasr {
namespace {

TEST(AlignedBuffer, IsAlignedAndWritable) {
  for (std::size_t bytes : {std::size_t{1}, std::size_t{63}, std::size_t{4096}, std::size_t{9} << 20}) {
    AlignedBuffer buffer(bytes);
    EXPECT_EQ(buffer.bytes(), bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % AlignedBuffer::kAlignment, 0u);
    std::memset(buffer.data(), 0x5a, bytes);
    EXPECT_EQ(buffer.data()[bytes - 1], std::byte{0x5a});
  }
}

TEST(AlignedBuffer, EmptyAndMoved) {
  AlignedBuffer empty(0);
  EXPECT_EQ(empty.data(), nullptr);
  AlignedBuffer first(100);
  std::byte* data = first.data();
  AlignedBuffer second(std::move(first));
  EXPECT_EQ(second.data(), data);
  empty = std::move(second);
  EXPECT_EQ(empty.data(), data);
  EXPECT_EQ(empty.bytes(), 100u);
}

TEST(AlignedBuffer, NamesTheSizeItCouldNotGet) {
  const std::size_t absurd = std::numeric_limits<std::size_t>::max() / 2;
  try {
    AlignedBuffer buffer(absurd);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
    EXPECT_NE(std::string(error.what()).find(std::to_string(absurd)), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace qasr
