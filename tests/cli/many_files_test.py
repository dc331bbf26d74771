"""Many recordings: folders, patterns, lists, files of results, resuming, locks, interruption, what goes wrong on the way."""

import fcntl
import json
import os
import pty
import shutil
import signal
import struct
import subprocess
import time
import unittest

from harness import (INCOMPLETE, INPUT, INTERNAL, INTERRUPTED, OK, PROGRAM, ROOT, SAMPLE, SAMPLES, SCHEMA, USAGE,
                     ProgramTest, references, run, sample_values, validate, wav_bytes)

TEXT = references()[SAMPLE.name]
OTHER = SAMPLES / "museum_ked.wav"
OTHER_TEXT = references()[OTHER.name]
MEDIA = ROOT / "tests/data/audio"


def wav_of(values, channels=1):
    return wav_bytes(struct.pack(f"<{len(values)}h", *values), channels=channels)


class ManyFilesTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.out = self.directory / "out"

    def recordings(self):
        """folder/{a.wav, b.wav, notes.txt, deep/c.wav}"""
        folder = self.directory / "recordings"
        (folder / "deep").mkdir(parents=True)
        shutil.copy(SAMPLE, folder / "a.wav")
        shutil.copy(OTHER, folder / "b.wav")
        shutil.copy(SAMPLE, folder / "deep/c.wav")
        (folder / "notes.txt").write_text("no recording")
        return folder

    def results(self):
        return sorted(str(path.relative_to(self.out)) for path in self.out.rglob("*") if path.is_file())

    # ---- what is transcribed ------------------------------------------------------------------------------------------

    def test_folder_to_several_formats(self):
        result = run("transcribe", "-r", "-f", "srt,json", "-f", "txt", "-o", self.out, self.recordings())
        self.assertEqual((result.returncode, result.stdout), (OK, ""), result.stderr)
        self.assertEqual(self.results(), sorted(f"{stem}.{form}" for stem in ("a", "b", "deep/c") for form in ("srt", "json", "txt")))
        self.assertEqual((self.out / "b.txt").read_text(), OTHER_TEXT + "\n")
        document = json.loads((self.out / "deep/c.json").read_text())
        validate(document, SCHEMA)
        self.assertEqual(document["text"], TEXT)
        self.assertIn("00:00:00,000 --> ", (self.out / "a.srt").read_text())
        self.assertIn("3 recordings: 3 transcribed", result.stderr)
        self.assertIn("1 other files ignored", result.stderr)
        self.assertEqual(sum("[" in line and "/3]" in line for line in result.stderr.splitlines()), 3)

    def test_every_container(self):
        """The same in one call as one by one."""
        names = ["short.wav", "short.mp3", "short.flac", "short.ogg", "short.opus", "short.m4a", "short.webm", "film.mp4"]
        result = run("transcribe", "-q", "-o", self.out, *[MEDIA / name for name in names])
        self.assertEqual(result.returncode, OK, result.stderr)
        for name in names:
            stem = name if name.startswith("short") else "film"
            alone = run("transcribe", "-q", MEDIA / name).stdout
            self.assertEqual((self.out / f"{stem}.txt").read_text(), alone if alone.strip() else "", name)

    def test_patterns_and_lists(self):
        folder = self.recordings()
        result = run("transcribe", "-q", f"{folder}/*.wav")
        self.assertEqual(result.stdout, f"{folder}/a.wav: {TEXT}\n{folder}/b.wav: {OTHER_TEXT}\n")
        for separator in ("\n", "\r\n", "\0"):
            listed = separator.join([f"{folder}/b.wav", f"{folder}/deep/c.wav"]).encode()
            result = run("transcribe", "-q", "--files-from", "-", input=listed)
            self.assertEqual(result.stdout, f"{folder}/b.wav: {OTHER_TEXT}\n{folder}/deep/c.wav: {TEXT}\n", result.stderr)
        result = run("transcribe", "-q", f"{folder}/*.ogg", f"{folder}/a.wav")
        self.assertEqual((result.returncode, result.stdout), (INPUT, f"{TEXT}\n"))
        self.assertIn("*.ogg: no file matches", result.stderr)
        self.assert_fails(run("transcribe", "-q", f"{folder}/*.ogg"), INPUT, "no file matches")
        self.assert_fails(run("transcribe", "-q", "--files-from", folder / "none.txt"), INPUT, "none.txt")

    def test_equal_names_keep_their_extension(self):
        folder = self.recordings()
        shutil.copy(MEDIA / "short.mp3", folder / "a.mp3")
        self.assertEqual(run("transcribe", "-q", "-o", self.out, folder / "a.wav", folder / "a.mp3", folder / "b.wav").returncode, OK)
        self.assertEqual(self.results(), ["a.mp3.txt", "a.wav.txt", "b.txt"])
        self.assert_fails(run("transcribe", "-o", self.out, folder / "a.wav", SAMPLE, "--", folder / "a.wav"), USAGE, "a.wav")

    # ---- resuming and failures ----------------------------------------------------------------------------------------

    def test_resume(self):
        folder = self.recordings()
        arguments = ["transcribe", "-r", "--resume", "-f", "txt,json", "-o", self.out, folder]
        self.assertEqual(run(*arguments).returncode, OK)
        before = {path: path.stat().st_mtime_ns for path in self.out.rglob("*.*")}
        (self.out / "a.json").write_text('{"text": "cut off')  # not valid: made again
        (self.out / "b.txt").unlink()
        result = run(*arguments)
        self.assertIn("2 transcribed, 1 finished before", result.stderr)
        self.assertEqual(json.loads((self.out / "a.json").read_text())["text"], TEXT)
        self.assertEqual((self.out / "b.txt").read_text(), OTHER_TEXT + "\n")
        self.assertEqual((self.out / "deep/c.json").stat().st_mtime_ns, before[self.out / "deep/c.json"])
        os.utime(folder / "deep/c.wav", (time.time() + 10, time.time() + 10))  # a newer recording
        self.assertIn("1 transcribed, 2 finished before", run(*arguments).stderr)

    def test_bad_files_do_not_stop_the_rest(self):
        folder = self.recordings()
        (folder / "bad.wav").write_bytes(b"RIFF")
        (folder / "empty.mp3").write_bytes(b"")
        result = run("transcribe", "-r", "-o", self.out, folder, folder / "missing.wav")
        self.assertEqual(result.returncode, INPUT)
        self.assertEqual(self.results(), ["a.txt", "b.txt", "deep/c.txt"])
        for name in ("bad.wav", "empty.mp3", "missing.wav"):
            self.assertIn(f"in {folder / name}", result.stderr)
        self.assertIn("6 recordings: 3 transcribed, 3 failed", result.stderr)

    def test_names_that_are_not_utf8(self):
        name = os.fsencode(str(self.directory)) + b"/caf\xe9.wav"
        shutil.copy(SAMPLE, name)
        process = subprocess.run([PROGRAM, "transcribe", "-q", "-f", "json,txt", "-o", self.out, name], check=False)
        self.assertEqual(process.returncode, OK)
        self.assertEqual(json.loads((self.out / os.fsdecode(b"caf\xe9.json")).read_text())["file"], f"{self.directory}/caf\ufffd.wav")

    def test_output_folder_that_cannot_be_made(self):
        blocker = self.write("blocker", b"")
        self.assert_fails(run("transcribe", "-o", blocker / "out", SAMPLE), INTERNAL, blocker, "not a directory")
        if os.path.isdir("/proc/self"):
            self.assert_fails(run("transcribe", "-o", "/proc/self/out", SAMPLE), INTERNAL, "/proc/self/out")

    def test_a_result_that_cannot_be_written(self):
        folder = self.recordings()
        (self.out / "a.txt").mkdir(parents=True)  # a folder is in the way of one result
        result = run("transcribe", "-o", self.out, folder / "a.wav", folder / "b.wav")
        self.assertEqual(result.returncode, INTERNAL)
        self.assertIn(f"cannot write {self.out}/a.txt", result.stderr)
        self.assertEqual((self.out / "b.txt").read_text(), OTHER_TEXT + "\n")
        self.assertEqual([name for name in self.results() if name.startswith(".")], [])

    def test_full_disk(self):
        """A file system of two pages: the small result fits, the large one does not and leaves nothing behind."""
        script = (f'mount -t tmpfs -o size=8k none "{self.directory}/disk" && '
                  f'"{PROGRAM}" transcribe -q -f json -o "{self.directory}/disk" "{SAMPLES}/long_rms.wav" "{SAMPLES}/silence.wav"; '
                  f'echo code $?; ls -A "{self.directory}/disk"')
        (self.directory / "disk").mkdir()
        result = subprocess.run(["unshare", "--mount", "--user", "--map-root-user", "sh", "-c", script], capture_output=True,
                                text=True, check=False)
        if "code" not in result.stdout:
            self.skipTest(f"no mount namespace here: {result.stderr.strip()}")
        self.assertEqual(result.stdout.split(), ["code", "1", "silence.json"], result.stderr)
        self.assertIn("long_rms.json: No space left on device", result.stderr)

    def test_two_runs_on_one_file(self):
        self.out.mkdir()
        with open(self.out / ".meeting_rms.txt.part", "w") as part:
            fcntl.flock(part, fcntl.LOCK_EX)
            result = run("transcribe", "-o", self.out, SAMPLE, OTHER)
        self.assertEqual(result.returncode, INTERNAL)
        self.assertIn(f"cannot write {self.out}/meeting_rms.txt: another run is writing it", result.stderr)
        self.assertEqual(run("transcribe", "-q", "-o", self.out, SAMPLE).returncode, OK)  # the leftover of a dead run
        self.assertEqual(self.results(), ["meeting_rms.txt", "museum_ked.txt"])

    def test_file_that_shrinks_is_reported(self):
        path = self.write("cut.wav", SAMPLE.read_bytes()[:60000])
        result = run("transcribe", "--json", path)
        document = json.loads(result.stdout)
        self.assertEqual(result.returncode, OK)
        self.assertTrue(document["truncated"])
        self.assertIn("the file may be truncated", document["warnings"][0])
        self.assertEqual(run("transcribe", "--strict", path).returncode, INCOMPLETE)
        self.assertEqual(run("transcribe", "--strict", SAMPLE).returncode, OK)
        self.assertEqual(run("transcribe", "--strict", "--max-tokens", 4, SAMPLE).returncode, INCOMPLETE)

    def test_interrupt(self):
        long = self.write("long.wav", wav_of((sample_values() + [0] * 48000) * 300))
        process = subprocess.Popen([PROGRAM, "transcribe", "-f", "txt,json", "-o", self.out, SAMPLE, long],
                                   stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while not (self.out / "meeting_rms.json").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=60)
        self.assertEqual(process.returncode, INTERRUPTED, messages)
        self.assertEqual((self.out / "meeting_rms.txt").read_text(), TEXT + "\n")
        self.assertFalse((self.out / "long.txt").exists())
        partial = json.loads((self.out / "long.partial.json").read_text())
        self.assertIn(TEXT, partial["text"])
        self.assertIn("long.partial.json", messages)
        self.assertEqual([name for name in self.results() if name.startswith(".")], [])

    # ---- progress -----------------------------------------------------------------------------------------------------

    def test_progress_on_a_terminal(self):
        folder = self.recordings()
        shutil.copy(SAMPLE, folder / "evil\x1b[2J.wav")
        controller, terminal = pty.openpty()
        process = subprocess.Popen([PROGRAM, "transcribe", "-r", "-o", self.out, folder], stderr=terminal)
        os.close(terminal)
        shown = b""
        while True:
            try:
                chunk = os.read(controller, 4096)
            except OSError:
                break
            if not chunk:
                break
            shown += chunk
        os.close(controller)
        self.assertEqual(process.wait(timeout=60), OK)
        text = shown.decode()
        self.assertRegex(text, r"\r\x1b\[K\[1/4\] +\d+ % .*real time")
        self.assertIn("[4/4]", text)
        self.assertIn("4 recordings: 4 transcribed", text)
        self.assertNotIn("\x1b[2J", text)

    # ---- contradictions -----------------------------------------------------------------------------------------------

    def test_contradictions(self):
        folder = self.recordings()
        cases = {
            "several formats on standard output": (["-f", "srt,json", SAMPLE], "-o DIR"),
            "subtitles of several recordings on standard output": (["-f", "srt", SAMPLE, OTHER], "2 recordings"),
            "json twice": (["--json", "-f", "srt", SAMPLE], "--json and --format"),
            "resume without a folder": (["--resume", SAMPLE], "--resume needs -o DIR"),
            "colours in a file": (["--colors", "-o", self.out, SAMPLE], "--colors"),
            "channel and all channels": (["--channel", 1, "--split-channels", SAMPLE], "exclude each other"),
            "subtitle rules without subtitles": (["--max-lines", 1, SAMPLE], "subtitles"),
            "unknown format": (["-f", "doc", SAMPLE], "unknown format 'doc', expected txt srt"),
            "standard input twice": (["--files-from", "-", "-"], "standard input"),
            "context is not text": (["--context", f"@{self.write('bad.txt', bytes([0xff, 0xfe]))}", SAMPLE], "--context"),
            "temperature": (["--temperature=-1", SAMPLE], "temperature"),
            "penalty": (["--repetition-penalty", 0, SAMPLE], "repetition_penalty"),
            "pauses without detector": (["--vad", "off", "--segment-s", 10, SAMPLE], "--segment-s"),
            "segment too short": (["--max-segment-s", 0.5, SAMPLE], "max_s"),
        }
        for name, (arguments, fragment) in cases.items():
            with self.subTest(name):
                self.assert_fails(run("transcribe", *arguments), USAGE, fragment)
        self.assert_fails(run("transcribe", folder), INPUT, "a directory")


class AudioOptionsTest(ProgramTest):
    def test_offset_and_duration(self):
        values = sample_values(OTHER) + [0] * 16000 + sample_values()
        path = self.write("two.wav", wav_of(values))
        offset = len(sample_values(OTHER)) / 16000 + 0.5
        document = json.loads(run("transcribe", "--json", "--offset", offset, path).stdout)
        self.assertEqual(document["text"], TEXT)
        self.assertAlmostEqual(document["segments"][0]["start"], offset, places=3)
        self.assertEqual(run("transcribe", "-q", "--duration", offset, path).stdout, OTHER_TEXT + "\n")
        result = run("transcribe", "--offset", 99, path)
        self.assertIn("before the offset of 99.00 s", result.stderr)
        result = run("transcribe", "--max-hours", 0.0005, path)
        self.assertIn("reading stopped at the limit of 1.80 s", result.stderr)

    def test_channels(self):
        left, right = sample_values(), sample_values(OTHER)
        length = len(left) + len(right) + 8000
        left += [0] * (length - len(left))
        right = [0] * (length - len(right)) + right
        path = self.write("call.wav", wav_of([value for pair in zip(left, right) for value in pair], channels=2))
        self.assertEqual(run("transcribe", "-q", "--channel", 1, path).stdout, TEXT + "\n")
        self.assertEqual(run("transcribe", "-q", "--channel", 2, path).stdout, OTHER_TEXT + "\n")
        self.assertEqual(run("transcribe", "-q", "--split-channels", path).stdout,
                         f"[channel 1] {TEXT}\n[channel 2] {OTHER_TEXT}\n")
        document = json.loads(run("transcribe", "--json", "--split-channels", path).stdout)
        validate(document, SCHEMA)
        self.assertEqual([segment["channel"] for segment in document["segments"]], [0, 1])
        self.assert_fails(run("transcribe", "--channel", 3, path), INPUT, "2 channels", path)

    def test_speech_in_silence_and_noise_is_found(self):
        """Pauses are left out and reported; times are those of the recording."""
        path = self.write("pauses.wav", wav_of([0] * 320000 + sample_values() + [0] * 480000 + sample_values(OTHER) + [0] * 160000))
        document = json.loads(run("transcribe", "--json", path).stdout)
        validate(document, SCHEMA)
        self.assertEqual([segment["text"] for segment in document["segments"]], [TEXT, OTHER_TEXT])
        first, second = document["segments"]
        self.assertAlmostEqual(first["start"], 19.8, delta=0.5)
        self.assertAlmostEqual(second["start"], 50 + len(sample_values()) / 16000 - 0.2, delta=0.5)
        self.assertGreater(sum(gap["end"] - gap["start"] for gap in document["non_speech"]), 55)
        everything = json.loads(run("transcribe", "--json", "--vad", "off", path).stdout)
        self.assertEqual(everything["non_speech"], [])
        self.assertAlmostEqual(sum(s["end"] - s["start"] for s in everything["segments"]), everything["duration"], places=2)

    def test_json_lines_and_colors(self):
        path = self.write("pauses.wav", wav_of(sample_values() + [0] * 640000 + sample_values(OTHER)))
        lines = [json.loads(line) for line in run("transcribe", "-f", "jsonl", path).stdout.splitlines()]
        self.assertEqual([(line["id"], line["text"]) for line in lines], [(0, TEXT), (1, OTHER_TEXT)])
        for line in lines:
            validate(line, SCHEMA["$defs"]["segment"], SCHEMA)
        colored = run("transcribe", "-q", "--colors", SAMPLES / "light_awb.wav").stdout
        self.assertIn("\x1b[3", colored)
        plain = run("transcribe", "-q", SAMPLES / "light_awb.wav").stdout
        for code in ("\x1b[31m", "\x1b[33m", "\x1b[0m"):
            colored = colored.replace(code, "")
        self.assertEqual(colored, plain)

    def test_standard_input_to_a_file(self):
        out = self.directory / "out"
        result = run("transcribe", "-q", "-f", "vtt", "-o", out, "-", input=SAMPLE.read_bytes())
        self.assertEqual(result.returncode, OK, result.stderr)
        self.assertTrue((out / "stdin.vtt").read_text().startswith("WEBVTT\n\n00:00:00.000 --> "))


if __name__ == "__main__":
    unittest.main()
