"""`qasr align`: times of the words of a known text, by the built-in aligner."""

import json
import unittest

from harness import (DEMO_MODEL, INPUT, MODEL, OK, ROOT, SAMPLE, SAMPLES, SCHEMA, USAGE, ProgramTest, references, run,
                     sample_values, validate)

ALIGNER = ROOT / "models/demo-aligner-en"
TEXT = references()[SAMPLE.name]
DURATION = len(sample_values()) / 16000


class AlignTest(ProgramTest):
    def align(self, *arguments, **options):
        result = run("align", "-q", *arguments, **options)
        self.assertEqual((result.returncode, result.stderr), (OK, ""))
        return result.stdout

    def check_words(self, words, text, duration=DURATION):
        """Every word of the text once, in order, inside the recording."""
        self.assertEqual("".join(word["surface"] for word in words), text)
        last = 0
        for word in words:
            self.assertTrue(last - 0.0011 <= word["start"] <= word["end"] <= duration + 0.0011, word)
            last = word["end"]

    def test_lines_of_text(self):
        lines = [line.split("\t") for line in self.align(SAMPLE, TEXT).splitlines()]
        self.assertEqual([label for _, _, label in lines], TEXT.split())
        times = [float(time) for start, end, _ in lines for time in (start, end)]
        self.assertEqual(times, sorted(times))
        # Speech fills the recording: the words do, too.
        self.assertLess(times[0], 0.8)
        self.assertGreater(times[-1], DURATION - 1)

    def test_json(self):
        document = json.loads(self.align("-f", "json", "--language", "en", SAMPLE, TEXT))
        validate(document, SCHEMA)
        self.assertEqual((document["task"], document["text"], document["language"]), ("align", TEXT, "English"))
        self.check_words(document["words"], TEXT)
        self.assertGreater(document["segments"][0]["confidence"], 0.5)
        self.assertEqual(document["warnings"], [])

    def test_built_in_model_is_the_directory(self):
        self.assertEqual(self.align(SAMPLE, TEXT), self.align("--aligner", ALIGNER, SAMPLE, TEXT))

    def test_other_formats(self):
        grid = self.align("-f", "textgrid", SAMPLE, TEXT)
        self.assertTrue(grid.startswith('File type = "ooTextFile"\nObject class = "TextGrid"\n'))
        self.assertGreaterEqual(grid.count("text = "), len(TEXT.split()) + 1)
        self.assertIn(" --> ", self.align("-f", "srt", "--max-lines", 1, SAMPLE, TEXT))
        self.assertTrue(self.align("-f", "vtt", SAMPLE, TEXT).startswith("WEBVTT\n"))

    def test_text_from_a_file_audio_from_standard_input(self):
        path = self.write("text.txt", TEXT.encode())
        self.assertEqual(self.align("-", f"@{path}", input=SAMPLE.read_bytes()), self.align(SAMPLE, TEXT))

    def test_official_times_are_classes(self):
        document = json.loads(self.align("-f", "json", "--official-times", SAMPLE, TEXT))
        self.check_words(document["words"], TEXT, DURATION + 0.1)
        for word in document["words"]:
            self.assertAlmostEqual(word["end"] / 0.08, round(word["end"] / 0.08), places=6)

    def test_pieces_agree_with_the_whole(self):
        long_sample = SAMPLES / "long_rms.wav"
        text = references()[long_sample.name]
        duration = len(sample_values(long_sample)) / 16000
        whole, pieces = (json.loads(self.align("-f", "json", "--max-piece-s", piece, long_sample, text))["words"]
                         for piece in (100, 8))
        self.check_words(pieces, text, duration)
        far = [word for word, other in zip(pieces, whole) if abs(word["start"] - other["start"]) > 0.2]
        self.assertLessEqual(len(far), len(whole) // 20, far)

    def test_texts_that_do_not_fit(self):
        self.assertEqual(self.align(SAMPLE, "... !"), "")
        other = references()["museum_ked.wav"]
        result = run("align", "-f", "json", SAMPLE, other)
        self.assertEqual(result.returncode, OK)
        document = json.loads(result.stdout)
        self.check_words(document["words"], other)
        right = json.loads(self.align("-f", "json", SAMPLE, TEXT))
        self.assertLess(document["segments"][0]["confidence"], right["segments"][0]["confidence"] - 0.2)
        many = self.write("many.txt", ("light and rain, " * 3334).encode())
        result = run("align", "-f", "json", SAMPLE, f"@{many}")
        self.assertEqual(result.returncode, OK)
        self.assertIn("warning: ", result.stderr)
        self.check_words(json.loads(result.stdout)["words"], many.read_text(), DURATION + 0.1)

    def test_failures_are_named(self):
        self.assert_fails(run("align", SAMPLE), USAGE, "text")
        self.assert_fails(run("align", SAMPLE, "@/no/such/file"), USAGE, "/no/such/file")
        self.assert_fails(run("align", SAMPLE, TEXT, "--language", "Klingon"), USAGE, "Klingon")
        self.assert_fails(run("align", SAMPLE, TEXT, "-f", "doc"), USAGE, "doc", "textgrid")
        self.assert_fails(run("align", SAMPLE, TEXT, "--max-piece-s", "0.2"), USAGE, "max_piece_s")
        self.assert_fails(run("align", "/no/such.wav", TEXT), INPUT, "/no/such.wav")
        self.assert_fails(run("align", "--model", DEMO_MODEL, SAMPLE, TEXT), MODEL, "speech recognition model",
                          "expected a forced aligner")
        self.assert_fails(run("transcribe", "-q", "--model", ALIGNER, SAMPLE), MODEL, "is a forced aligner",
                          "expected a speech recognition model")


if __name__ == "__main__":
    unittest.main()
