#include "server/api_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qasr/error.h"

namespace qasr::server {
namespace {

using ::testing::HasSubstr;

TEST(ApiKeys, KnowHashesOnly) {
  // NIST's example: SHA-256 of "abc".
  EXPECT_EQ(key_line("n", "abc"), "n sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const auto keys = parse_api_keys("# people\n\n" + key_line("ada", "secret") +
                                   " concurrent=2 audio_s_per_min=90.5 # x\n" + key_line("bob", "other") + "\r\n");
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_EQ(find_key(keys, "secret")->name, "ada");
  EXPECT_EQ(find_key(keys, "secret")->audio_s_per_min, 90.5);
  EXPECT_EQ(find_key(keys, "Secret"), nullptr);
  EXPECT_EQ(find_key(keys, ""), nullptr);
  EXPECT_NE(make_key(), make_key());
}

TEST(ApiKeys, NameTheBadLine) {
  const std::string good = key_line("ada", "secret");
  for (const std::string& bad : {std::string("ada"), std::string("ada sha256:12"), good + " concurrent=0",
                                 good + " x=1", "ada sha256:" + std::string(64, 'g'), good + "\n" + good}) {
    try {
      parse_api_keys("\n" + bad + "\n");
      ADD_FAILURE() << bad;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("line ")) << bad;
    }
  }
}

TEST(ApiKeys, BearerToken) {
  EXPECT_EQ(bearer_token("Bearer abc"), "abc");
  EXPECT_EQ(bearer_token("bearer   abc"), "abc");
  EXPECT_EQ(bearer_token("Basic abc"), "");
  EXPECT_EQ(bearer_token("Bearer"), "");
}

TEST(Quotas, LimitRequestsAndAudio) {
  const ApiKey key{.name = "ada", .max_concurrent = 2, .audio_s_per_min = 60};
  Quotas quotas;
  int retry_after_s = 0;
  EXPECT_TRUE(quotas.acquire(key, 100, retry_after_s));
  EXPECT_TRUE(quotas.acquire(key, 100, retry_after_s));
  EXPECT_FALSE(quotas.acquire(key, 100, retry_after_s));
  quotas.release("ada");
  quotas.charge(key, 150, 100);  // 90 s more than there were: one comes back per second
  EXPECT_FALSE(quotas.acquire(key, 100, retry_after_s));
  EXPECT_EQ(retry_after_s, 91);
  EXPECT_FALSE(quotas.has_balance(key, 189));
  EXPECT_TRUE(quotas.acquire(key, 191, retry_after_s));
}

}  // namespace
}  // namespace qasr::server
