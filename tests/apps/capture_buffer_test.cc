// The microphone's buffer with a fake driver: what is lost is counted, what stops is told.
#include "capture_buffer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "qasr/error.h"

namespace qasr::app {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string error_of(CaptureBuffer& buffer) {
  std::vector<float> out;
  try {
    buffer.read(out);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInput);
    return error.what();
  }
  ADD_FAILURE() << "expected an error";
  return "";
}

TEST(CaptureBuffer, TheReaderWaitsForTheDriver) {
  CaptureBuffer buffer(100, 5);
  std::thread driver([&] { buffer.add(std::vector<float>{1, 2, 3}); });
  std::vector<float> out;
  EXPECT_TRUE(buffer.read(out));
  EXPECT_THAT(out, ElementsAre(1, 2, 3));
  driver.join();
  buffer.add(std::vector<float>{4});
  buffer.add(std::vector<float>{5});
  EXPECT_TRUE(buffer.read(out));
  EXPECT_THAT(out, ElementsAre(4, 5));
}

TEST(CaptureBuffer, AReaderThatIsTooSlowLosesTheNewestAndIsToldHowMuch) {
  CaptureBuffer buffer(4, 5);
  buffer.add(std::vector<float>{1, 2, 3});
  buffer.add(std::vector<float>{4, 5, 6});
  buffer.add_gap();
  std::vector<float> out;
  EXPECT_TRUE(buffer.read(out));
  EXPECT_THAT(out, ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(buffer.n_dropped(), 2U);
  EXPECT_EQ(buffer.n_gaps(), 1U);
}

TEST(CaptureBuffer, AnUnpluggedDeviceIsToldAfterWhatItDelivered) {
  CaptureBuffer buffer(100, 5);
  buffer.add(std::vector<float>{1});
  buffer.fail("the microphone has gone");
  buffer.fail("a second reason");
  std::vector<float> out;
  EXPECT_TRUE(buffer.read(out));
  EXPECT_EQ(error_of(buffer), "the microphone has gone");
}

TEST(CaptureBuffer, AStarvedReaderIsToldSo) {
  CaptureBuffer buffer(100, 0.05);
  EXPECT_THAT(error_of(buffer), HasSubstr("delivers nothing any more"));
}

TEST(CaptureBuffer, StopEndsAReaderThatWaits) {
  CaptureBuffer buffer(100, 60);
  std::thread other([&] { buffer.stop(); });
  std::vector<float> out;
  EXPECT_FALSE(buffer.read(out));
  other.join();
  EXPECT_FALSE(buffer.read(out));
}

}  // namespace
}  // namespace qasr::app
