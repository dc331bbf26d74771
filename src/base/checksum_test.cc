#include "base/checksum.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace qasr {
namespace {

TEST(Checksum, EveryBitAndTheLengthCount) {
  for (std::size_t size : {0, 1, 7, 8, 31, 32, 33, 100}) {
    std::vector<std::byte> bytes(size);
    std::set<std::uint64_t> seen = {checksum(bytes)};
    for (std::size_t bit = 0; bit < 8 * size; ++bit) {
      bytes[bit / 8] ^= std::byte{1} << (bit % 8);
      EXPECT_TRUE(seen.insert(checksum(bytes)).second) << "bit " << bit << " of " << size << " bytes";
      bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    }
    bytes.push_back(std::byte{0});
    EXPECT_TRUE(seen.insert(checksum(bytes)).second) << size << " bytes and a zero";
  }
}

}  // namespace
}  // namespace qasr
