"""Recordings that are not what they should be: a clear message and exit code 3, or a transcript with a warning."""

import os
import struct
import unittest
import zlib

from harness import (INPUT, OK, SAMPLE, WAVE_FORMAT_FLOAT, ProgramTest, references, run, sample_values, wav_bytes)

TEXT = references()[SAMPLE.name]


def png_bytes():
    """A picture of one grey pixel: a media file without an audio stream."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\x80")) + chunk(b"IEND", b""))


class BadAudioTest(ProgramTest):
    def assert_refused(self, path, *fragments):
        """Through a file and, where there is one, through standard input."""
        self.assert_fails(run("transcribe", path), INPUT, path, *fragments)
        if os.path.isfile(path):
            self.assert_fails(run("transcribe", "-", input=path.read_bytes()), INPUT, "standard input", *fragments)

    def test_missing(self):
        self.assert_refused(self.directory / "missing.wav", "no such file")

    def test_directory(self):
        self.assert_refused(self.directory, "directory")

    def test_empty(self):
        self.assert_refused(self.write("empty.wav", b""), "empty")

    def test_text_named_wav(self):
        self.assert_refused(self.write("notes.wav", b"Call the dentist.\nBuy bread and milk.\n" * 20))

    def test_random_bytes(self):
        noise = b"".join(struct.pack("<I", (1664525 * i * i + 1013904223 * i) % 2**32) for i in range(4000))
        self.assert_refused(self.write("noise.mp3", noise))

    def test_no_audio_stream(self):
        self.assert_refused(self.write("picture.png", png_bytes()), "audio")

    def test_no_channels(self):
        self.assert_refused(self.write("none.wav", wav_bytes(b"\0\0" * 16000, channels=0)))

    def test_header_only(self):
        whole = SAMPLE.read_bytes()
        for size in (4, 12, 30, 43):
            with self.subTest(size=size):
                self.assert_refused(self.write("short.wav", whole[:size]))

    def test_unreadable(self):
        path = self.write("secret.wav", SAMPLE.read_bytes())
        path.chmod(0)
        if os.access(path, os.R_OK):
            self.skipTest("this user may read everything")
        self.assert_refused(path, "permission")

    def test_truncated_keeps_what_is_there(self):
        whole = SAMPLE.read_bytes()
        result = run("transcribe", self.write("cut.wav", whole[: 44 + 2 * (len(whole) - 44) // 3 // 2 * 2]))
        self.assertEqual(result.returncode, OK, result.stderr)
        self.assertEqual(result.stdout.split()[:3], TEXT.split()[:3])

    def test_header_claims_too_much(self):
        values = sample_values()
        data = struct.pack(f"<{len(values)}h", *values)
        result = run("transcribe", self.write("claim.wav", wav_bytes(data, data_size=0x7FFF0000)))
        self.assertEqual((result.returncode, result.stdout), (OK, TEXT + "\n"), result.stderr)

    def test_nan_and_infinity_are_silence_with_a_warning(self):
        values = [value / 32768 for value in sample_values()]
        values[100], values[200], values[300] = float("nan"), float("inf"), float("-inf")
        data = struct.pack(f"<{len(values)}f", *values)
        path = self.write("nan.wav", wav_bytes(data, bits=32, format_tag=WAVE_FORMAT_FLOAT))
        result = run("transcribe", path)
        self.assertEqual((result.returncode, result.stdout), (OK, TEXT + "\n"), result.stderr)
        self.assertIn(f"warning: {path}", result.stderr)
        self.assertEqual(run("transcribe", "--quiet", path).stderr, "")

    def test_clipped(self):
        """Samples beyond full scale are scaled down, not cut off."""
        values = [4 * value / 32768 for value in sample_values()]
        path = self.write("loud.wav", wav_bytes(struct.pack(f"<{len(values)}f", *values), bits=32, format_tag=WAVE_FORMAT_FLOAT))
        self.assertEqual(run("transcribe", path).stdout, TEXT + "\n")


if __name__ == "__main__":
    unittest.main()
