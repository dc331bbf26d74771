#include "server/multipart_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "server/api_error.h"
#include "server/form.h"
#include "server/transcription_params.h"

namespace qasr::server {
namespace {

using ::testing::HasSubstr;

struct Part {
  std::string name, filename, data;
  bool operator==(const Part&) const = default;
};

class Collector final : public PartReceiver {
 public:
  void on_part(const PartHead& head) override { parts.push_back({head.name, head.filename.value_or("-"), ""}); }
  void on_part_data(std::string_view data) override { parts.back().data += data; }
  void on_part_end() override { ++n_ended; }
  std::vector<Part> parts;
  std::size_t n_ended = 0;
};

std::vector<Part> parse(const std::string& body, std::size_t step) {
  Collector collector;
  MultipartParser parser("b", collector);
  for (std::size_t at = 0; at < body.size(); at += step) parser.feed(std::string_view(body).substr(at, step));
  parser.finish();
  EXPECT_EQ(collector.n_ended, collector.parts.size());
  return collector.parts;
}

std::string refusal(const std::string& body) {
  try {
    parse(body, 7);
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status(), 400);
    return error.what();
  }
  return "accepted";
}

const std::string kHead = "Content-Disposition: form-data; name=\"x\"\r\n\r\n";

TEST(MultipartParser, GivesTheSamePartsHoweverTheyArrive) {
  // A line that begins as the delimiter does belongs to the data, as long as it goes on differently.
  const std::string data = std::string("\r\n-b\r\n--a\0\r\n--", 15);
  const std::string body =
      "preamble\r\n--b \r\nContent-Disposition: form-data; name=\"file\"; filename=\"a \\\"b\\\".wav\"\r\n"
      "Content-Type: audio/wav\r\n\r\n" +
      data + "\r\n--b\r\n" + kHead +
      "\r\n--b\r\ncontent-disposition: FORM-DATA; filename*=UTF-8''%C3%A9.mp3; name=y\r\n\r\nlast\r\n--b--\r\nepilogue";
  const std::vector<Part> whole = parse(body, body.size());
  ASSERT_EQ(whole.size(), 3u);
  EXPECT_EQ(whole[0], (Part{"file", "a \"b\".wav", data}));
  EXPECT_EQ(whole[1], (Part{"x", "-", ""}));
  EXPECT_EQ(whole[2], (Part{"y", "\xC3\xA9.mp3", "last"}));
  for (std::size_t step = 1; step < 40; ++step) EXPECT_EQ(parse(body, step), whole) << step;
}

TEST(MultipartParser, RefusesWhatIsNoForm) {
  EXPECT_THAT(refusal("--b\r\n" + kHead + "data"), HasSubstr("closing delimiter"));
  EXPECT_THAT(refusal("nothing"), HasSubstr("closing delimiter"));
  EXPECT_THAT(refusal("--bx\r\n" + kHead + "\r\n--b--"), HasSubstr("line break"));
  EXPECT_THAT(refusal("--b\r\nContent-Type: a/b\r\n\r\n\r\n--b--"), HasSubstr("Content-Disposition"));
  EXPECT_THAT(refusal("--b\r\nContent-Disposition: attachment; name=x\r\n\r\n\r\n--b--"), HasSubstr("attachment"));
  EXPECT_THAT(refusal("--b\r\nContent-Transfer-Encoding: base64\r\n" + kHead + "\r\n--b--"), HasSubstr("base64"));
  EXPECT_THAT(refusal("--b\r\nX: " + std::string(9000, 'x') + "\r\n" + kHead + "\r\n--b--"), HasSubstr("8 KiB"));
  std::string many;
  for (int n = 0; n < 300; ++n) many += "--b\r\n" + kHead + "\r\n";
  EXPECT_THAT(refusal(many + "--b--"), HasSubstr("256 parts"));
}

TEST(MultipartParser, FindsTheBoundary) {
  EXPECT_EQ(MultipartParser::boundary_of("multipart/form-data; boundary=abc"), "abc");
  EXPECT_EQ(MultipartParser::boundary_of("Multipart/Form-Data;charset=x; BOUNDARY=\"a b\""), "a b");
  for (const char* bad : {"", "application/json", "multipart/form-data", "multipart/form-data; boundary=",
                          "multipart/form-data; boundary=\"", "multipart/mixed; boundary=a"}) {
    EXPECT_FALSE(MultipartParser::boundary_of(bad)) << bad;
  }
  EXPECT_FALSE(MultipartParser::boundary_of("multipart/form-data; boundary=" + std::string(71, 'x')));
}

TEST(Form, SpoolsLargeFilesAndKeepsEveryByte) {
  FormReader reader({.max_file_bytes = 1 << 20, .max_file_memory_bytes = 1000});
  std::string data;
  for (int n = 0; n < 50000; ++n) data += static_cast<char>(n * 31 % 256);
  reader.on_part({.name = "file", .filename = "a.wav"});
  for (std::size_t at = 0; at < data.size(); at += 700) reader.on_part_data(std::string_view(data).substr(at, 700));
  reader.on_part_end();
  Form form = reader.take();
  ASSERT_TRUE(form.file && form.file->on_disk());
  const auto bytes = form.file->bytes();
  EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()), data);
}

TEST(Form, HasLimits) {
  FormReader reader({.max_file_bytes = 10, .max_fields_bytes = 10});
  reader.on_part({.name = "file"});
  EXPECT_THROW(reader.on_part_data("12345678901"), ApiError);
  EXPECT_THROW(reader.on_part({.name = "file"}), ApiError);
  reader.on_part({.name = "prompt"});
  EXPECT_THROW(reader.on_part_data("12345678901"), ApiError);
  FormReader other({.max_fields_bytes = 10});
  other.on_part({.name = "x"});
  other.on_part_data("\xff");
  EXPECT_THROW(other.on_part_end(), ApiError);
}

TEST(Params, TakeArraysInEverySpellingAndChunkingInBoth) {
  const TranscriptionParams params = parse_transcription_params({{"model", "m"},
                                                                 {"keywords[]", "a"},
                                                                 {"keywords", "b"},
                                                                 {"keywords[7]", "c"},
                                                                 {"language", "GERMAN"},
                                                                 {"chunking_strategy[type]", "server_vad"},
                                                                 {"chunking_strategy[silence_duration_ms]", "500"}});
  EXPECT_EQ(params.keywords, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(params.max_pause_s, 0.5);
  const TranscriptionParams json = parse_transcription_params(
      {{"model", "m"}, {"chunking_strategy", R"({"type":"server_vad","silence_duration_ms":700,"threshold":0.5})"}});
  EXPECT_EQ(json.max_pause_s, 0.7);
  for (const FormField& bad : std::vector<FormField>{{"chunking_strategy", "{"},
                                                     {"chunking_strategy[type]", "manual"},
                                                     {"chunking_strategy[colour]", "1"},
                                                     {"temperature", "nan"},
                                                     {"temperature", "0.1x"},
                                                     {"language[x]", "de"}}) {
    EXPECT_THROW(parse_transcription_params({{"model", "m"}, bad}), ApiError) << bad.name << "=" << bad.value;
  }
}

}  // namespace
}  // namespace qasr::server
