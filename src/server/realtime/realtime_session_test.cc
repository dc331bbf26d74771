#include "server/realtime/realtime_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>
#include <tuple>

#include "server/realtime/fake_live_stream_test_util.h"

namespace qasr::server {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using Kind = StreamEvent::Kind;

class RealtimeSessionTest : public ::testing::Test {
 protected:
  RealtimeSessionTest() {
    open([](RealtimeContext&) {});
  }
  // A session of its own, with other limits.
  template <typename SetLimits>
  void open(const SetLimits& set_limits) {
    session_.reset();
    n_ends_ = 0;
    socket_ = std::make_shared<FakeSocket>();
    RealtimeContext context;
    context.find_engine = [](const std::string&) { return nullptr; };
    context.open_stream = [this](std::shared_ptr<const Engine>, StreamOptions options) {
      streams_.push_back(std::make_shared<FakeStreamLog>());
      streams_.back()->capacity = capacity_;
      streams_.back()->options = std::move(options);
      return std::make_unique<FakeLiveStream>(streams_.back());
    };
    context.is_draining = [this] { return draining_; };
    context.charge = [this](double audio_s) { return (charged_s_ += audio_s) < 100; };
    context.metrics = std::make_shared<Metrics>();
    context.on_end = [this](double) { ++n_ends_; };
    set_limits(context);
    session_ = std::make_shared<RealtimeSession>(std::move(context), "m");
    session_->on_open(socket_);
  }

  void send(const json& message) { session_->on_message(message.dump(), true); }
  void set_turns(const json& turns) {
    send({{"type", "session.update"},
          {"session", {{"audio", {{"input", {{"format", {{"type", "audio/pcmu"}}}, {"turn_detection", turns}}}}}}}});
  }
  // "////" are three codes of a silent line.
  void append(int n_groups = 1) {
    std::string audio;
    for (int n = 0; n < n_groups; ++n) audio += "////";
    send({{"type", "input_audio_buffer.append"}, {"audio", audio}});
  }
  void emit(std::size_t stream, StreamEvent event) { streams_.at(stream)->options.on_event(event); }
  // Types (their last words) since the last call.
  std::vector<std::string> take() {
    std::vector<std::string> types;
    for (const std::string& text : socket_->sent) {
      last_ = json::parse(text);
      const std::string type = last_["type"];
      types.push_back(type.substr(type.rfind('.') + 1));
    }
    socket_->sent.clear();
    return types;
  }

  std::shared_ptr<FakeSocket> socket_ = std::make_shared<FakeSocket>();
  std::vector<std::shared_ptr<FakeStreamLog>> streams_;
  std::shared_ptr<RealtimeSession> session_;
  json last_;
  std::size_t capacity_ = SIZE_MAX;
  double charged_s_ = 0;
  bool draining_ = false;
  int n_ends_ = 0;
};

// What the server was told, with one change at a path of names.
json session_with(const std::string& path, const json& value) {
  json session = {{"audio", {{"input", json::object()}}}};
  session[json::json_pointer(path)] = value;
  return session;
}

// Every parameter of a session is honoured ...
TEST(SessionConfig, ParametersReachTheStream) {
  const auto options_of = [](const std::string& path, const json& value) {
    SessionConfig config;
    update_session(config, session_with(path, value));
    return stream_options(config);
  };
  const std::string input = "/audio/input/";
  EXPECT_EQ(options_of(input + "format", {{"type", "audio/pcm"}, {"rate", 16000}}).sample_rate, 16000);
  EXPECT_EQ(options_of(input + "format", {{"type", "audio/pcm"}}).sample_rate, 24000);
  EXPECT_EQ(options_of(input + "format", {{"type", "audio/pcma"}}).sample_rate, 8000);
  EXPECT_EQ(options_of(input + "transcription/language", "fr").language, "fr");
  EXPECT_EQ(options_of(input + "transcription/languages", {"fr"}).language, "fr");
  EXPECT_EQ(options_of(input + "transcription/prompt", "bees").context, "bees");
  EXPECT_THAT(options_of(input + "transcription/keywords", {"hive", "queen"}).hotwords, ElementsAre("hive", "queen"));
  EXPECT_EQ(options_of(input + "transcription/delay", "minimal").latency, StreamLatency::kLow);
  EXPECT_EQ(options_of(input + "transcription/delay", "medium").latency, StreamLatency::kBalanced);
  EXPECT_EQ(options_of(input + "transcription/delay", "xhigh").latency, StreamLatency::kAccurate);
  const json turns = {{"type", "server_vad"}, {"silence_duration_ms", 900}, {"idle_timeout_ms", nullptr}};
  EXPECT_EQ(options_of(input + "turn_detection", turns).endpoint_ms, 900);
  EXPECT_TRUE(options_of(input + "turn_detection", turns).endpoint_ends_segment);
  EXPECT_FALSE(options_of(input + "turn_detection", nullptr).endpoint_ends_segment);
  EXPECT_TRUE(options_of("/include", {"item.input_audio_transcription.logprobs"}).keep_tokens);
}

// ... or refused by its name.
TEST(SessionConfig, WhatIsNotHonouredIsRefused) {
  const std::string input = "/audio/input/", dotted = "session.audio.input.";
  const std::vector<std::tuple<std::string, json, std::string>> cases = {
      {"/colour", 1, "session.colour"},
      {"/type", "realtime", "session.type"},
      {"/audio/output", json::object(), "session.audio.output"},
      {"/include", {"everything"}, "session.include"},
      {input + "volume", 1, dotted + "volume"},
      {input + "noise_reduction", {{"type", "near_field"}}, dotted + "noise_reduction"},
      {input + "format", {{"type", "audio/opus"}}, dotted + "format.type"},
      {input + "format", {{"type", "audio/pcm"}, {"rate", 44100}}, dotted + "format.rate"},
      {input + "format", {{"type", "audio/pcm"}, {"rate", 1e300}}, dotted + "format.rate"},
      {input + "format", {{"type", "audio/pcmu"}, {"rate", 16000}}, dotted + "format.rate"},
      {input + "transcription", {{"temperature", 1}}, dotted + "transcription.temperature"},
      {input + "transcription/language", "klingon", dotted + "transcription.language"},
      {input + "transcription/languages", {"de", "en"}, dotted + "transcription.languages"},
      {input + "transcription/keywords", "one", dotted + "transcription.keywords"},
      {input + "transcription/prompt", 5, dotted + "transcription.prompt"},
      {input + "transcription/delay", "soon", dotted + "transcription.delay"},
      {input + "turn_detection", {{"type", "semantic_vad"}}, dotted + "turn_detection.type"},
      {input + "turn_detection", {{"threshold", 0.9}}, dotted + "turn_detection.threshold"},
      {input + "turn_detection", {{"prefix_padding_ms", 100}}, dotted + "turn_detection.prefix_padding_ms"},
      {input + "turn_detection", {{"silence_duration_ms", 50}}, dotted + "turn_detection.silence_duration_ms"},
      {input + "turn_detection", {{"idle_timeout_ms", 5000}}, dotted + "turn_detection.idle_timeout_ms"},
      {input + "turn_detection", {{"create_response", true}}, dotted + "turn_detection.create_response"},
      {input + "turn_detection", {{"eagerness", "high"}}, dotted + "turn_detection.eagerness"}};
  for (const auto& [path, value, param] : cases) {
    SessionConfig config;
    try {
      update_session(config, session_with(path, value));
      ADD_FAILURE() << path << " " << value;
    } catch (const ApiError& error) {
      EXPECT_EQ(error.status(), 400);
      EXPECT_EQ(error.param(), param) << path << " " << value;
    }
  }
}

// However busy the session is.
TEST_F(RealtimeSessionTest, TheLongestDurationEndsTheSession) {
  open([](RealtimeContext& context) { context.max_s = 0; });
  append();
  session_->on_tick();
  take();
  EXPECT_EQ(last_["error"]["code"], "session_expired");
  EXPECT_EQ(socket_->close_code, 1000);
  EXPECT_EQ(streams_.at(0)->calls.back(), "destroyed");
  const std::size_t n_streams = streams_.size();
  append();  // too late
  EXPECT_EQ(streams_.size(), n_streams);
  session_->on_closed();
  session_->on_closed();
  EXPECT_EQ(n_ends_, 1);
}

TEST_F(RealtimeSessionTest, OnlySilenceOfTheClientIsIdle) {
  open([](RealtimeContext& context) { context.idle_s = 0.05; });
  for (int n = 0; n < 4; ++n) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    append();
    session_->on_tick();
  }
  take();
  EXPECT_EQ(socket_->close_code, 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  session_->on_tick();
  take();
  EXPECT_EQ(last_["error"]["code"], "session_idle");
  EXPECT_EQ(socket_->close_code, 1000);
}

TEST_F(RealtimeSessionTest, TurnsOfTheServer) {
  set_turns({{"type", "server_vad"}, {"silence_duration_ms", 300}});
  append();
  EXPECT_THAT(take(), ElementsAre("created", "updated"));
  EXPECT_EQ(streams_[0]->options.endpoint_ms, 300);
  EXPECT_EQ(streams_[0]->options.sample_rate, 8000);
  emit(0, {.kind = Kind::kPartial, .text = "he", .start_s = 1});
  emit(0, {.kind = Kind::kCommitted, .text = "hello"});
  emit(0, {.kind = Kind::kCommitted, .text = " there"});
  emit(0, {.kind = Kind::kEndpoint, .end_s = 2});
  emit(0, {.kind = Kind::kSegmentEnd, .start_s = 1, .end_s = 2.5});
  EXPECT_THAT(take(), ElementsAre("speech_started", "delta", "delta", "speech_stopped", "committed", "added", "done",
                                  "completed"));
  EXPECT_EQ(last_["transcript"], "hello there");
  EXPECT_EQ(last_["usage"]["seconds"], 1.5);
  emit(0, {.kind = Kind::kCommitted, .segment = 1, .text = "more", .separator = " "});
  take();
  EXPECT_EQ(last_["delta"], "more");  // a new item needs no separator
}

TEST_F(RealtimeSessionTest, TurnsOfTheClientMayOverlap) {
  set_turns(nullptr);
  append();
  send({{"type", "input_audio_buffer.commit"}});
  append(2);
  send({{"type", "input_audio_buffer.commit"}});
  EXPECT_THAT(streams_[0]->calls, ElementsAre("push 3", "flush", "push 6", "flush"));
  take();
  emit(0, {.kind = Kind::kCommitted, .text = "one"});
  emit(0, {.kind = Kind::kFlushed});
  take();
  EXPECT_EQ(last_["transcript"], "one");
  emit(0, {.kind = Kind::kFlushed});
  EXPECT_THAT(take(), ElementsAre("completed"));
  EXPECT_EQ(last_["transcript"], "");
}

TEST_F(RealtimeSessionTest, ClearWaitsForWhatIsCommitted) {
  set_turns(nullptr);
  append();
  send({{"type", "input_audio_buffer.clear"}});
  EXPECT_EQ(streams_[0]->calls.back(), "reset");
  append();
  send({{"type", "input_audio_buffer.commit"}});
  send({{"type", "input_audio_buffer.clear"}});
  EXPECT_EQ(streams_[0]->calls.back(), "flush");
  append();  // goes to another stream
  ASSERT_EQ(streams_.size(), 2u);
  take();
  emit(0, {.kind = Kind::kCommitted, .text = "kept"});
  emit(0, {.kind = Kind::kFlushed});
  EXPECT_THAT(take(), ElementsAre("delta", "completed"));
  EXPECT_EQ(streams_[0]->calls.back(), "cancel");
  emit(0, {.kind = Kind::kEnd});
  EXPECT_EQ(streams_[0]->calls.back(), "destroyed");
}

TEST_F(RealtimeSessionTest, AFullStreamStopsTheClient) {
  capacity_ = 4;
  set_turns(nullptr);
  append(3);
  EXPECT_FALSE(session_->wants_more());
  session_->on_tick();
  EXPECT_FALSE(session_->wants_more());
  streams_[0]->capacity = 100;
  session_->on_tick();
  EXPECT_TRUE(session_->wants_more());
  EXPECT_THAT(streams_[0]->calls, ElementsAre("push 4", "push 5"));
}

TEST_F(RealtimeSessionTest, FailuresAreOfTheItemAndTheSessionGoesOn) {
  set_turns(nullptr);
  append();
  take();
  emit(0, {.kind = Kind::kError, .error = Error(ErrorCode::kOutOfMemory, "full")});
  EXPECT_THAT(take(), ElementsAre("failed"));
  EXPECT_EQ(last_["error"]["message"], "full");
  emit(0, {.kind = Kind::kEnd});
  append();
  EXPECT_EQ(streams_.size(), 2u);
}

TEST_F(RealtimeSessionTest, AnotherLanguageIsAnotherStream) {
  append();
  send({{"type", "session.update"}, {"session", {{"audio", {{"input", {{"transcription", {{"language", "de"}}}}}}}}}});
  EXPECT_EQ(streams_[0]->calls.back(), "close");
  append();
  EXPECT_EQ(streams_.at(1)->options.language, "de");
}

TEST_F(RealtimeSessionTest, QuotasEndTheSession) {
  charged_s_ = 100;
  append();
  take();
  EXPECT_EQ(last_["error"]["code"], "rate_limit_exceeded");
  EXPECT_EQ(socket_->close_code, 1008);
}

TEST_F(RealtimeSessionTest, DrainingEndsWithWhatWasSaid) {
  append();
  draining_ = true;
  session_->on_tick();
  EXPECT_EQ(streams_[0]->calls.back(), "close");
  append();  // too late
  session_->on_tick();
  EXPECT_EQ(socket_->close_code, 0);
  emit(0, {.kind = Kind::kEnd});
  session_->on_tick();
  EXPECT_EQ(socket_->close_code, 1001);
  EXPECT_EQ(streams_.size(), 1u);
}

TEST(AudioCodec, Base64) {
  EXPECT_EQ(decode_base64("aGVsbG8="), "hello");
  EXPECT_EQ(decode_base64("aGVsbG8"), "hello");
  EXPECT_EQ(decode_base64(""), "");
  for (const char* bad : {"a", "aGVsbG8=x", "aGVs bG8", "====", "aGVsbG8==", "aGVs\nbG8="})
    EXPECT_FALSE(decode_base64(bad)) << bad;
}

// Values of ITU-T G.711, tables 1a and 2a, on the scale of 16 bits.
TEST(AudioCodec, G711) {
  EXPECT_EQ(mu_law_sample(0xFF) * 32768, 0);
  EXPECT_EQ(mu_law_sample(0x80) * 32768, 32124);
  EXPECT_EQ(mu_law_sample(0x00) * 32768, -32124);
  EXPECT_EQ(a_law_sample(0xD5) * 32768, 8);
  EXPECT_EQ(a_law_sample(0xAA) * 32768, 32256);
  EXPECT_EQ(a_law_sample(0x2A) * 32768, -32256);
}

TEST(AudioCodec, SamplesMayBeCutBetweenMessages) {
  AudioDecoder decoder(AudioCodec::kPcm16);
  EXPECT_THAT(decoder.decode(std::string("\x00\x40\x00", 3)), ElementsAre(0.5f));
  EXPECT_THAT(decoder.decode("\x80"), ElementsAre(-1.0f));
}

}  // namespace
}  // namespace qasr::server
