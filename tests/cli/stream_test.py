#!/usr/bin/env python3
"""`qasr stream` from outside: sources, formats, the display on a terminal, interruption."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
import unittest

from harness import INPUT, OK, PROGRAM, SAMPLE, SAMPLES, USAGE, references, run, sample_values, wav_bytes

TEXT = references()["meeting_rms.wav"]
LONG = SAMPLES / "long_rms.wav"


def pcm(values):
    return struct.pack(f"<{len(values)}h", *values)


class Sources(unittest.TestCase):
    def test_a_file(self):
        result = run("stream", "--quiet", SAMPLE)
        self.assertEqual((result.stdout, result.stderr, result.returncode), (TEXT + "\n", "", OK))

    def test_raw_samples_on_standard_input(self):
        values = sample_values()
        for arguments, data in (
                (["--rate", "16000"], pcm(values)),
                (["--rate", "16000", "--channels", "2"], pcm([v for value in values for v in (value, value)])),
                (["--rate", "16000", "--sample-format", "f32"], struct.pack(f"<{len(values)}f", *(v / 32768 for v in values))),
                (["--rate", "32000"], pcm([v for value in values for v in (value, value)]))):
            result = run("stream", "--quiet", *arguments, "-", input=data)
            self.assertEqual((result.stdout, result.returncode), (TEXT + "\n", OK), arguments)

    def test_half_a_sample_and_wild_floats_are_told(self):
        data = struct.pack("<4f", 0.0, float("nan"), float("inf"), 0.0) + b"\0"
        result = run("stream", "--rate", "16000", "--sample-format", "f32", "-", input=data)
        self.assertEqual((result.stdout, result.returncode), ("", OK))
        self.assertIn("ended inside a sample", result.stderr)
        self.assertIn("2 samples were no numbers", result.stderr)

    def test_a_recording_comes_through_a_pipe_as_it_is_made(self):
        # The header says nothing of the length, as when a program records; text must come before the pipe is closed.
        values = sample_values(LONG)
        header = wav_bytes(b"", data_size=0xFFFFFFFF - 36)
        process = subprocess.Popen([PROGRAM, "stream", "--quiet", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdin.write(header[:44])
        for begin in range(0, len(values), 8000):
            process.stdin.write(pcm(values[begin:begin + 8000]))
            process.stdin.flush()
            time.sleep(0.02)
        early = os.read(process.stdout.fileno(), 1000)
        self.assertTrue(early.startswith(b"She borrowed"), early)
        rest = process.communicate()[0]
        self.assertIn(b"Remind me to send the report to Helen Parker on Friday.", early + rest)
        self.assertEqual(process.returncode, OK)

    def test_what_is_no_sound(self):
        for arguments, data, message in ((["-"], b"no sound at all " * 500, "text"), (["-"], b"", "standard input"),
                                         (["/no/such/file.wav"], b"", "/no/such/file.wav")):
            result = run("stream", "--quiet", *arguments, input=data)
            self.assertEqual(result.returncode, INPUT, arguments)
            self.assertIn(message, result.stderr)

    def test_realtime_takes_as_long_as_the_recording(self):
        start = time.monotonic()
        result = run("stream", "--quiet", "--realtime", SAMPLE)
        self.assertEqual(result.stdout, TEXT + "\n")
        self.assertGreater(time.monotonic() - start, len(sample_values()) / 16000 - 0.2)

    def test_microphones_are_listed_or_the_reason_is_told(self):
        result = run("stream", "--list-microphones")
        if result.returncode == OK:
            self.assertNotEqual(result.stdout, "")
        else:
            self.assertRegex(result.stderr, "PortAudio")


class Arguments(unittest.TestCase):
    def test_contradictions(self):
        for arguments, message in ((["--rate", "16000", SAMPLE], "--rate is for raw PCM"),
                                   (["--channels", "2", "-"], "add --rate"),
                                   (["--realtime", "-"], "--realtime is for files"),
                                   (["--microphone", "x", SAMPLE], "leave out FILE"),
                                   (["--agreement", "2", "--commit", "segment", SAMPLE], "needs --commit agreement"),
                                   (["--jsonl", "-f", "srt", SAMPLE], "exclude each other"),
                                   (["--chunk-ms", "5", SAMPLE], "chunk-ms"), (["--latency", "none", SAMPLE], "latency")):
            result = run("stream", *arguments)
            self.assertEqual(result.returncode, USAGE, arguments)
            self.assertIn(message, result.stderr)


class Formats(unittest.TestCase):
    def test_json_lines(self):
        result = run("stream", "--quiet", "--jsonl", LONG)
        events = [json.loads(line) for line in result.stdout.splitlines()]
        text = "".join(e["separator"] + e["text"] for e in events if e["event"] == "committed")
        segments = [e for e in events if e["event"] == "segment"]
        self.assertEqual(text, " ".join(e["text"] for e in segments))
        self.assertEqual([e["segment"] for e in segments], list(range(len(segments))))
        self.assertEqual(events[-1], {"event": "end", "status": "done"})
        self.assertEqual({e["language"] for e in segments}, {"English"})
        for event in segments:
            self.assertLess(event["start_s"], event["end_s"])
            self.assertGreater(event["confidence"], 0.5)

    def test_subtitles_grow(self):
        srt = run("stream", "--quiet", "-f", "srt", LONG).stdout
        self.assertEqual([int(n) for n in re.findall(r"^(\d+)$", srt, re.M)], list(range(1, srt.count("-->") + 1)))
        vtt = run("stream", "--quiet", "-f", "vtt", LONG).stdout
        self.assertTrue(vtt.startswith("WEBVTT\n\n00:00:0"), vtt[:40])
        times = re.findall(r"(\d\d:\d\d:\d\d\.\d{3}) --> (\d\d:\d\d:\d\d\.\d{3})", vtt)
        self.assertEqual([t for pair in times for t in pair], sorted(t for pair in times for t in pair))
        self.assertIn("telescope", vtt)

    def test_every_policy_gives_the_text(self):
        for policy in ("agreement", "official", "segment"):
            self.assertEqual(run("stream", "--quiet", "--commit", policy, SAMPLE).stdout, TEXT + "\n")


class Terminal(unittest.TestCase):
    def test_committed_text_is_plain_and_the_partial_is_dimmed_and_goes(self):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 30, 0, 0))
        process = subprocess.Popen([PROGRAM, "stream", "--quiet", "--realtime", str(SAMPLE)], stdin=subprocess.DEVNULL,
                                   stdout=slave, stderr=subprocess.PIPE)
        os.close(slave)
        shown = b""
        while True:
            try:
                data = os.read(master, 4096)
            except OSError:
                break
            if not data:
                break
            shown += data
        process.communicate()
        self.assertIn(b"\x1b[2m", shown, "something was shown dimmed")
        screen = Screen(30)
        screen.feed(shown.decode("utf-8"))
        self.assertEqual(" ".join(screen.text().split()), TEXT)
        self.assertTrue(all(len(line) < 30 for line in screen.lines))

    def test_interruption_commits_what_was_heard(self):
        process = subprocess.Popen([PROGRAM, "stream", "--quiet", "--rate", "16000", "-"], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdin.write(pcm(sample_values()))
        process.stdin.flush()
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        self.assertEqual((out.decode(), err.decode(), process.returncode), (TEXT + "\n", "", OK))


class Screen:
    """Enough of a terminal for what the display sends: text, line breaks, cursor up and right, erase below."""

    def __init__(self, columns):
        self.columns, self.lines, self.row, self.column = columns, [""], 0, 0

    def feed(self, data):
        for escape, character in re.findall(r"\x1b\[(\d*[A-Za-z])|([^\x1b])", data):
            if escape:
                number = int(escape[:-1] or 1)
                if escape[-1] == "A":
                    self.row -= number
                elif escape[-1] == "C":
                    self.column += number
                elif escape[-1] == "J":
                    del self.lines[self.row + 1:]
                    self.lines[self.row] = self.lines[self.row][:self.column]
            elif character == "\r":
                self.column = 0
            elif character == "\n":
                self.row += 1
                if self.row == len(self.lines):
                    self.lines.append("")
            else:
                line = self.lines[self.row].ljust(self.column)
                self.lines[self.row] = line[:self.column] + character + line[self.column + 1:]
                self.column += 1
                assert self.column < self.columns, "the display breaks lines itself"

    def text(self):
        return "\n".join(self.lines)


if __name__ == "__main__":
    unittest.main()
