"""Runs what README.md shows: the programs made of its C++ blocks, and every `qasr` line of its shell blocks.

The examples name files that a reader would have; here they are links to the demonstration model and its samples.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import extract

ROOT = pathlib.Path(os.environ["QASR_SOURCE_DIR"])
PROGRAM = pathlib.Path(os.environ["QASR_PROGRAM"])
EXAMPLE_PROGRAMS = []
DEMO_MODEL = ROOT / "models/demo-en"
SAMPLE = DEMO_MODEL / "samples/meeting_rms.wav"
SAMPLE_TEXT = "The meeting on Thursday starts at a quarter past ten."


def reader_directory(directory):
    """What a reader has: a checkpoint, recordings, a list of names."""
    directory = pathlib.Path(directory)
    (directory / "Qwen3-ASR-0.6B").symlink_to(DEMO_MODEL)
    (directory / "Qwen3-ForcedAligner-0.6B").symlink_to(ROOT / "models/demo-aligner-en")
    for name in ("recording.wav", "talk.wav"):
        shutil.copy(SAMPLE, directory / name)
    (directory / "names.txt").write_text("Thursday")
    subprocess.run([sys.executable, ROOT / "tools/make_media_folder.py", directory / "media"], check=True, capture_output=True)
    return directory


class ReadmeTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = reader_directory(temporary.name)
        self.environment = {**os.environ, "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"}

    def run_here(self, command, **options):
        result = subprocess.run(command, cwd=self.directory, env=self.environment, stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, check=False, **options)
        self.assertEqual(result.returncode, 0, f"{command}\n{result.stderr}")
        return result.stdout

    def test_programs(self):
        self.assertTrue(EXAMPLE_PROGRAMS)
        for program in EXAMPLE_PROGRAMS:
            with self.subTest(program=program):
                self.assertIn(SAMPLE_TEXT, self.run_here([program]))

    def test_shell_lines(self):
        blocks = extract.code_blocks((ROOT / "README.md").read_text(encoding="utf-8"), "sh")
        lines = [line for block in blocks for line in block.splitlines() if "qasr transcribe" in line or "qasr info" in line]
        self.assertGreater(len(lines), 3)
        for line in lines:
            with self.subTest(line=line):
                output = self.run_here(["bash", "-o", "pipefail", "-c", line])
                redirected = "".join(path.read_text() for path in self.directory.glob("*.json*"))
                found = " ".join((output + redirected).split())
                self.assertIn(SAMPLE_TEXT if "transcribe" in line else "parameters", found)

    def test_word_times(self):
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        (line,) = [line for block in extract.code_blocks(readme, "sh") for line in block.splitlines() if "qasr align" in line]
        output = self.run_here(["bash", "-c", line])
        self.assertEqual([row.split("\t")[2] for row in output.splitlines()], SAMPLE_TEXT.split())
        shown = re.findall(r"^    (\d+\.\d+\s+\d+\.\d+\s+\S+)$", readme, re.MULTILINE)
        self.assertGreater(len(shown), 1)
        for row in shown:  # other instruction sets round other last digits
            start, end, word = row.split()
            nearest = min((abs(float(s) - float(start)) + abs(float(e) - float(end)), w) for s, e, w in map(str.split, output.splitlines()))
            self.assertEqual(nearest[1], word)
            self.assertLess(nearest[0], 0.04)


if __name__ == "__main__":
    EXAMPLE_PROGRAMS = sys.argv[1:]
    unittest.main(argv=sys.argv[:1])
