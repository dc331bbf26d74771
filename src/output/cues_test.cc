// Subtitles: lines and cues within their limits, never a cut inside a word or a character, times in order.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/utf8.h"
#include "output/unicode_text.h"
#include "qasr/error.h"
#include "qasr/formats.h"

namespace qasr {
namespace {

using testing::ElementsAre;

constexpr char kEnglish[] =
    "She borrowed an old telescope from the library last winter. Remind me to send the report to Helen Parker on "
    "Friday, "
    "please. The first version of the program was written in nineteen eighty four! Would it be cloudy tomorrow, with a "
    "high of sixty two degrees and a strong wind from the northwest?";
constexpr char kChinese[] =
    "今天的会议讨论了下个季度的产品计划，大家认为应该先完成语音识别引擎的性能优化，然后再考虑增加新的语言。"
    "王女士提出了三个问题：第一，测试数据从哪里来；第二，谁负责验证结果；第三，什么时候可以发布。";
constexpr char kJapanese[] =
    "来週の月曜日に新しいプロジェクトの説明会を開きますので、参加を希望される方は金曜日までにご連絡ください。"
    "資料は当日会場でお配りします。";
constexpr char kThai[] = "วันนี้เราจะประชุมเรื่องแผนงานของไตรมาสหน้าและการพัฒนาระบบรู้จำเสียงพูดให้เร็วขึ้นกว่าเดิม";
constexpr char kArabic[] =
    "اجتمع الفريق يوم الخميس لمناقشة خطة المنتج للربع القادم، واتفقوا على تحسين سرعة محرك التعرف على الكلام أولا.";

Transcript transcript_of(const std::string& text, double start_s = 0, double length_s = 25) {
  Transcript transcript;
  transcript.text = text;
  transcript.duration_s = start_s + length_s;
  Segment segment;
  segment.start_s = start_s;
  segment.end_s = start_s + length_s;
  segment.text = text;
  transcript.segments.push_back(segment);
  return transcript;
}

std::string without_spaces(std::string text) {
  text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
  return text;
}

std::string all_text(const std::vector<Cue>& cues) {
  std::string text;
  for (const Cue& cue : cues) {
    for (const std::string& line : cue.lines) text += line;
  }
  return text;
}

void expect_rules(const std::vector<Cue>& cues, const SubtitleOptions& options) {
  double end_s = -1;
  for (const Cue& cue : cues) {
    EXPECT_GE(cue.start_s, end_s);
    EXPECT_GT(cue.end_s, cue.start_s);
    EXPECT_LE(cue.end_s - cue.start_s, options.max_duration_s + 1e-9);
    EXPECT_GE(static_cast<int>(cue.lines.size()), 1);
    EXPECT_LE(static_cast<int>(cue.lines.size()), options.max_lines);
    for (const std::string& line : cue.lines) {
      EXPECT_LE(text_columns(line), options.max_line_columns) << line;
      EXPECT_EQ(line, trim_spaces(line));
      EXPECT_TRUE(is_valid_utf8(line));
    }
    end_s = cue.end_s;
  }
}

TEST(Cues, KeepEveryScriptWhole) {
  for (const char* text : {kEnglish, kChinese, kJapanese, kThai, kArabic}) {
    for (const int columns : {42, 32, 20}) {
      const SubtitleOptions options{.max_line_columns = columns};
      const std::vector<Cue> cues = make_cues(transcript_of(text), options);
      expect_rules(cues, options);
      EXPECT_EQ(without_spaces(all_text(cues)), without_spaces(text));
    }
  }
}

TEST(Cues, LinesOfSpacedScriptsAreWholeWords) {
  const std::vector<Cue> cues = make_cues(transcript_of(kEnglish), {.max_line_columns = 25});
  std::string joined;
  for (const Cue& cue : cues) {
    for (const std::string& line : cue.lines) joined += (joined.empty() ? "" : " ") + line;
  }
  EXPECT_EQ(joined, kEnglish);
}

TEST(Cues, EndAtSentencesWhereOneIsNear) {
  const std::vector<Cue> cues = make_cues(transcript_of(kEnglish));
  ASSERT_GE(cues.size(), 4u);
  EXPECT_THAT(cues[0].lines, ElementsAre("She borrowed an old telescope", "from the library last winter."));
  EXPECT_TRUE(cues[1].lines.back().ends_with("please."));
  EXPECT_TRUE(cues[2].lines.back().ends_with("four!"));
}

TEST(Cues, DoNotCutCharactersOrUnbreakableWords) {
  const std::string family = "👨‍👩‍👧‍👦", e_acute = "e\u0301", flag = "🇩🇪";
  std::string word;
  for (int n = 0; n < 30; ++n) word += e_acute;
  const std::vector<Cue> cues =
      make_cues(transcript_of(word + " " + family + family + " " + flag), {.max_line_columns = 10});
  EXPECT_EQ(cues[0].lines[0], word);  // longer than a line: a word is not cut
  std::string rest;
  for (std::size_t i = 0; i < cues.size(); ++i) {
    for (const std::string& line : cues[i].lines) {
      for (const std::string& cluster : graphemes(line)) {
        EXPECT_TRUE(cluster == family || cluster == flag || cluster == e_acute || cluster == " ") << cluster;
      }
    }
  }
}

TEST(Cues, ChineseDoesNotBeginLinesWithPunctuation) {
  for (const char* text : {kChinese, kJapanese}) {
    for (const Cue& cue : make_cues(transcript_of(text), {.max_line_columns = 24})) {
      for (const std::string& line : cue.lines) {
        EXPECT_EQ(std::u32string(U"，。；：、ー").find(decode_utf8(line)[0]), std::u32string::npos) << line;
      }
    }
  }
}

TEST(Cues, ThaiIsCutBetweenWords) {
  const std::vector<Cue> cues = make_cues(transcript_of(kThai), {.max_line_columns = 20});
  ASSERT_GE(cues.size(), 2u);
  for (const Cue& cue : cues) {
    for (const std::string& line : cue.lines) {
      const char32_t first = decode_utf8(line)[0];
      EXPECT_FALSE(first == 0xE31 || (first >= 0xE34 && first <= 0xE3A) || first >= 0xE47)
          << line;  // a vowel above, a tone
    }
  }
}

TEST(Cues, RightToLeftIsMarked) {
  for (const Cue& cue : make_cues(transcript_of(kArabic))) EXPECT_TRUE(cue.right_to_left);
  for (const Cue& cue : make_cues(transcript_of("SMS وصلت رسالة"))) EXPECT_FALSE(cue.right_to_left);
}

TEST(Cues, ShortAndFastOnesStayLonger) {
  Transcript transcript = transcript_of("Yes.", 10, 0.3);
  transcript.segments.push_back(
      transcript_of("Twenty words in a second would be too fast to read.", 20, 0.5).segments[0]);
  transcript.segments.push_back(transcript_of("Right behind.", 21, 0.4).segments[0]);
  const std::vector<Cue> cues = make_cues(transcript);
  ASSERT_EQ(cues.size(), 3u);
  EXPECT_DOUBLE_EQ(cues[0].end_s, 11);
  EXPECT_DOUBLE_EQ(cues[1].end_s, 21);  // wants 2.6 s, but the next one comes
  EXPECT_DOUBLE_EQ(cues[2].end_s, 22);
}

TEST(Cues, WordTimesAreUsed) {
  Transcript transcript = transcript_of("One two three. Four five six.", 0, 20);
  transcript.segments[0].words = {{1, 1.5, "One"},    {2, 2.5, "two"},    {3, 3.5, "three."},
                                  {15, 15.5, "Four"}, {16, 16.5, "five"}, {17, 18, "six."}};
  const std::vector<Cue> cues = make_cues(transcript);
  ASSERT_EQ(cues.size(), 2u);
  EXPECT_NEAR(cues[0].end_s, 3.5, 0.1);
  EXPECT_NEAR(cues[1].start_s, 15, 0.1);
  EXPECT_NEAR(cues[1].end_s, 18, 0.1);
}

TEST(Cues, ChannelsMayOverlap) {
  Transcript transcript = transcript_of("Hello there.", 0, 4);
  transcript.segments[0].channel = 0;
  transcript.segments.push_back(transcript_of("Hi.", 1, 4).segments[0]);
  transcript.segments[1].channel = 1;
  const std::vector<Cue> cues = make_cues(transcript);
  ASSERT_EQ(cues.size(), 2u);
  EXPECT_DOUBLE_EQ(cues[0].end_s, 4);
  EXPECT_DOUBLE_EQ(cues[1].start_s, 1);
}

TEST(Cues, OptionsAreChecked) {
  const Transcript transcript = transcript_of("a");
  EXPECT_THROW(make_cues(transcript, {.max_line_columns = 0}), Error);
  EXPECT_THROW(make_cues(transcript, {.max_lines = 0}), Error);
  EXPECT_THROW(make_cues(transcript, {.max_columns_per_s = NAN}), Error);
  EXPECT_THROW(make_cues(transcript, {.min_duration_s = 9}), Error);
}

TEST(Cues, WordsKnowWhereTheyBegin) {
  Transcript transcript = transcript_of("He said \"no\", and left.", 10, 4);
  const char* surfaces[] = {"He ", "said ", "\"no\", ", "and ", "left."};
  double start_s = 10.5;
  for (const char* surface : surfaces) {
    transcript.segments[0].words.push_back({.start_s = start_s, .end_s = start_s + 0.25, .surface = surface});
    start_s += 0.5;
  }
  const std::vector<Cue> cues = make_cues(transcript, {.max_line_columns = 14});
  ASSERT_EQ(cues.size(), 1U);
  ASSERT_THAT(cues[0].lines, ElementsAre("He said \"no\",", "and left."));
  ASSERT_EQ(cues[0].words.size(), 5U);
  const std::size_t bytes[] = {0, 3, 8, 0, 4};
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(cues[0].words[i].line, i < 3 ? 0U : 1U);
    EXPECT_EQ(cues[0].words[i].byte, bytes[i]);
    EXPECT_NEAR(cues[0].words[i].start_s, 10.5 + 0.5 * static_cast<double>(i), 1e-9);
  }
  EXPECT_EQ(format_transcript(transcript, OutputFormat::kVtt, {}, {.max_line_columns = 14, .tag_words = true}),
            "WEBVTT\n\n00:00:10.500 --> 00:00:12.750\nHe <00:00:11.000>said <00:00:11.500>\"no\",\n"
            "<00:00:12.000>and <00:00:12.500>left.\n");
  EXPECT_TRUE(make_cues(transcript_of("No times here."))[0].words.empty());
}

TEST(BareWord, LosesWhatIsAroundIt) {
  EXPECT_EQ(bare_word({.text = "35", .surface = " (3.5), "}), "3.5");
  EXPECT_EQ(bare_word({.text = "dont", .surface = "“don’t” "}), "don’t");
  EXPECT_EQ(bare_word({.text = "你", .surface = "你，"}), "你");
  EXPECT_EQ(bare_word({.text = "C", .surface = "C++ "}), "C++");
  EXPECT_EQ(bare_word({.text = "word"}), "word");
}

}  // namespace
}  // namespace qasr
