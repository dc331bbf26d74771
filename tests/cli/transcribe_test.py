"""Correct input: transcripts, streams, several files, JSON, timings, options that must not change the answer."""

import json
import math
import os
import re
import struct
import subprocess
import time
import unittest

from harness import (INPUT, OK, PROGRAM, SAMPLE, SAMPLES, SCHEMA, WAVE_FORMAT_FLOAT, ProgramTest, references, run,
                     sample_values, validate, wav_bytes)

TEXT = references()[SAMPLE.name]
OTHER = SAMPLES / "museum_ked.wav"
OTHER_TEXT = references()[OTHER.name]


def words(text):
    return re.findall(r"[a-z']+", text.lower())


def word_errors(reference, hypothesis):
    """Levenshtein distance between two lists of words."""
    row = list(range(len(hypothesis) + 1))
    for i, expected in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, found in enumerate(hypothesis, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (expected != found))
    return row[-1]


class TranscribeTest(ProgramTest):
    def assert_text(self, result, text=TEXT):
        self.assertEqual((result.returncode, result.stdout), (OK, text + "\n"), result.stderr)

    def test_word_errors(self):
        self.assertEqual(word_errors("a b c d".split(), "a x c".split()), 2)

    def test_samples(self):
        for name, reference in references().items():
            with self.subTest(name):
                result = run("transcribe", SAMPLES / name)
                self.assertEqual(result.returncode, OK)
                self.assertEqual(result.stdout.count("\n"), 1)
                # The model itself mishears a few words; exact transcripts are compared with the reference's elsewhere.
                self.assertLessEqual(word_errors(words(reference), words(result.stdout)), 0.25 * len(words(reference)))
        self.assert_text(run("transcribe", SAMPLE))
        self.assert_text(run("transcribe", SAMPLES / "silence.wav"), "")

    def test_demo_notice(self):
        result = run("transcribe", SAMPLE)
        self.assertIn("demonstration model", result.stderr.splitlines()[0])
        self.assertIn("qasr transcribe --model DIR", result.stderr)
        self.assertIn("Qwen/Qwen3-ASR-0.6B", result.stderr)
        self.assertEqual(run("transcribe", "--quiet", SAMPLE).stderr, "")

    def test_model_directory_gives_the_same(self):
        result = run("transcribe", "--model", SAMPLES.parent, SAMPLE)
        self.assert_text(result)
        self.assertNotIn("qasr transcribe --model", result.stderr)

    def test_standard_input(self):
        data = SAMPLE.read_bytes()
        self.assert_text(run("transcribe", "-", input=data))
        self.assert_text(run("transcribe", input=data))

    def test_text_appears_before_the_end(self):
        """The first words of a long recording arrive while the rest is still being decoded."""
        arrivals, text = [], b""
        with subprocess.Popen([PROGRAM, "transcribe", "--quiet", "--backend", "reference", SAMPLES / "long_rms.wav"],
                              stdout=subprocess.PIPE) as process:
            while chunk := os.read(process.stdout.fileno(), 4096):
                arrivals.append(time.monotonic())
                text += chunk
        self.assertEqual(process.returncode, OK)
        self.assertEqual(words(text.decode())[:3], words(references()["long_rms.wav"])[:3])
        self.assertGreater(len(arrivals), 3)
        self.assertGreater(arrivals[-1], arrivals[0])

    def test_several_files(self):
        result = run("transcribe", SAMPLE, OTHER)
        self.assertEqual((result.returncode, result.stdout), (OK, f"{SAMPLE}: {TEXT}\n{OTHER}: {OTHER_TEXT}\n"))

    def test_one_bad_file_among_several(self):
        missing = self.directory / "missing.wav"
        result = run("transcribe", SAMPLE, missing, OTHER)
        self.assertEqual(result.returncode, INPUT)
        self.assertEqual(result.stdout, f"{SAMPLE}: {TEXT}\n{OTHER}: {OTHER_TEXT}\n")
        self.assertIn(str(missing), result.stderr)

    def test_json(self):
        result = run("transcribe", "--json", SAMPLE)
        self.assertEqual(result.returncode, OK)
        document = json.loads(result.stdout)
        validate(document, SCHEMA)
        self.assertEqual(document["file"], str(SAMPLE))
        self.assertEqual(document["text"], TEXT)
        self.assertEqual(document["language"], "English")
        self.assertAlmostEqual(document["duration"], len(sample_values()) / 16000, places=3)
        self.assertFalse(document["truncated"])
        self.assertEqual(document["model"], "demo-en")
        (segment,) = document["segments"]
        expected = {"id": 0, "start": 0, "end": document["duration"], "text": TEXT, "language": "English",
                    "truncated": False, "no_speech": False, "temperature": 0, "notes": []}
        self.assertEqual({key: segment[key] for key in expected}, expected)
        self.assertEqual("".join(entry["token"] for entry in segment["logprobs"]).strip(), TEXT)
        self.assertEqual(len(segment["tokens"]), len(segment["logprobs"]))
        mean = sum(entry["logprob"] for entry in segment["logprobs"]) / len(segment["logprobs"])
        self.assertAlmostEqual(segment["avg_logprob"], mean, places=4)
        self.assertAlmostEqual(segment["confidence"], math.exp(mean), places=4)
        timings = document["timings"]
        self.assertEqual(timings["frames"], len(sample_values()) // 160)
        self.assertEqual(timings["audio_tokens"], 13 * (timings["frames"] // 100) + -(-(timings["frames"] % 100) // 8))
        self.assertGreater(timings["prompt_tokens"], timings["audio_tokens"])
        for key in ("preprocessing_ms", "audio_encoding_ms", "text_generation_ms", "prefill_ms"):
            self.assertGreater(timings[key], 0)
        self.assertLessEqual(timings["prefill_ms"], timings["text_generation_ms"])

    def test_json_lines(self):
        missing = self.directory / "missing.wav"
        result = run("transcribe", "--json", SAMPLE, missing, SAMPLES / "silence.wav", "--model", SAMPLES.parent)
        self.assertEqual(result.returncode, INPUT)
        documents = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual([document["text"] for document in documents], [TEXT, ""])
        self.assertEqual(documents[1]["language"], "")
        self.assertEqual(documents[0]["model"], str(SAMPLES.parent))

    def test_timings(self):
        result = run("transcribe", "--timings", "--quiet", SAMPLE)
        self.assert_text(result)
        shares = [float(share) for share in re.findall(r"([\d.]+) %", result.stderr)]
        self.assertEqual(len(shares), 4)
        self.assertAlmostEqual(sum(shares[:3]), 100, delta=0.3)
        for fragment in ("preprocessing", "audio encoding", "text generation", "tokens/s", "real-time factor"):
            self.assertIn(fragment, result.stderr)

    def test_options_that_keep_the_answer(self):
        for arguments in (["--threads", 1], ["--threads", 3], ["--weights", "f32"], ["--weights", "bf16"], ["--kv-cache", "bf16"],
                          ["--language", "English"], ["--language", "en"], ["--backend", "reference"], ["--no-pad"],
                          ["--context", "Thursday"], ["--hotwords", "Thursday,quarter"], ["--max-segment-s", 10], ["--vad", "off"],
                          ["--batch", 1]):
            with self.subTest(arguments=arguments):
                self.assert_text(run("transcribe", *arguments, SAMPLE))

    def test_instruction_set_keeps_the_answer(self):
        self.assert_text(run("transcribe", SAMPLE, env={"QASR_CPU_ISA": "generic"}))

    def test_context_from_file(self):
        context = self.write("names.txt", "Thursday, appointments".encode())
        self.assert_text(run("transcribe", "--context", f"@{context}", SAMPLE))

    def test_token_limit_is_announced(self):
        result = run("transcribe", "--max-tokens", 6, "--json", SAMPLE)
        document = json.loads(result.stdout)
        self.assertTrue(document["truncated"])
        self.assertTrue(TEXT.startswith(document["text"]) and document["text"] != TEXT)
        self.assertEqual(document["timings"]["generated_tokens"], 6)
        self.assertIn("--max-tokens", result.stderr)

    def test_segments(self):
        """Three sentences with pauses, cut into segments of at most 7 s: times are in order and cover everything."""
        pause = [0] * 16000
        values = sample_values() + pause + sample_values(OTHER) + pause + sample_values()
        path = self.write("long.wav", wav_bytes(struct.pack(f"<{len(values)}h", *values)))
        document = json.loads(run("transcribe", "--json", "--vad", "off", "--max-segment-s", 7, path).stdout)
        segments = document["segments"]
        self.assertGreater(len(segments), 1)
        self.assertEqual(segments[0]["start"], 0)
        self.assertAlmostEqual(segments[-1]["end"], len(values) / 16000, places=3)
        for before, after in zip(segments, segments[1:]):
            self.assertEqual(before["end"], after["start"])
        reference = words(f"{TEXT} {OTHER_TEXT} {TEXT}")
        self.assertLessEqual(word_errors(reference, words(document["text"])), 0.25 * len(reference))

    def test_channels_rates_and_sample_formats(self):
        values = sample_values()
        eight = [value / 32768 for value in values for _ in range(12 * 8)]  # held for 12 frames of 192 kHz, 8 channels
        recordings = {
            "stereo.wav": wav_bytes(struct.pack(f"<{2 * len(values)}h", *[v for v in values for _ in (0, 1)]), channels=2),
            "float.wav": wav_bytes(struct.pack(f"<{len(values)}f", *[v / 32768 for v in values]), bits=32,
                                   format_tag=WAVE_FORMAT_FLOAT),
            "eight.wav": wav_bytes(struct.pack(f"<{len(eight)}f", *eight), rate=192000, channels=8, bits=32,
                                   format_tag=WAVE_FORMAT_FLOAT),
        }
        for name, data in recordings.items():
            with self.subTest(name):
                self.assert_text(run("transcribe", self.write(name, data)))

    def test_no_samples(self):
        document = json.loads(run("transcribe", "--json", self.write("one.wav", wav_bytes(b"\0\0"))).stdout)
        self.assertEqual(document["text"], "")


if __name__ == "__main__":
    unittest.main()
