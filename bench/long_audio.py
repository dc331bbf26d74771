#!/usr/bin/env python3
"""Runs `qasr transcribe` on long recordings made of short ones, and prints what it must reach beside what it reached.

    bench/long_audio.py                     an hour of speech, ten hours for the memory: about half an hour of work
    bench/long_audio.py --quick             ten minutes and an hour
    bench/long_audio.py --only text,memory  some of: text, memory, length, speed
    bench/long_audio.py --only speed --model DIR --max-tokens 120    speed with another checkpoint: eight minutes of work with a
                                            synthetic 0.6B (make_synthetic_checkpoint --config qwen3-asr-0.6b --tokenizer ...)

text    the recordings of tests/data/heldout joined with pauses, noise and music between them, and five minutes of silence and
        of music: word errors against those of the single recordings; recordings lost; text where nothing is said
memory  peak memory of 8 recordings at once against 1 (both fill the batch, so the KV cache is the same)
length  peak memory of a recording ten (quick: six) times as long
speed   against `qasr bench` with as many tokens in segments as long, and against --batch 1
"""

import argparse
import collections
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
HELDOUT = ROOT / "tests/data/heldout"
LONG_S = 300  # silence and music without text
BAND = 400    # words around the diagonal that the alignment looks at

Result = collections.namedtuple("Result", "document wall_s peak_bytes")


# ---- recordings ------------------------------------------------------------------------------------------------------

def held_out():
    """[(file, reference)]"""
    lines = (HELDOUT / "manifest.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return [(HELDOUT / file, reference) for _, file, reference in (line.split("\t") for line in lines)]


def between(generator):
    """What lies between two recordings: mostly pauses, sometimes noise or music."""
    kind = generator.random()
    if kind < 0.7:
        return [f"silence\t{generator.uniform(0.3, 3):.2f}"]
    level = generator.uniform(-45, -30)
    if kind < 0.85:
        noise = generator.choice(["white", "pink", "hum", "fan"])
        return [f"silence\t0.5\nnoise\t{noise}\t{generator.uniform(2, 8):.1f}\t{level:.1f}\nsilence\t0.3"]
    return [f"silence\t0.5\nmusic\t{generator.randrange(1000)}\t{generator.uniform(4, 12):.1f}\t{level + 8:.1f}\nsilence\t0.4"]


def plan_of(minutes, seed, with_long_parts=False):
    """(lines of a plan for make_mixture, references in order)"""
    generator = random.Random(seed)
    pool, lines, spoken = [], [], []
    length_s = 0
    while length_s < 60 * minutes:
        if not pool:
            pool = held_out()
            generator.shuffle(pool)
        file, reference = pool.pop()
        lines.append(f"speech\t{file}\t{generator.uniform(-30, -20):.1f}")
        spoken.append((file, reference))
        lines += between(generator)
        length_s += 6
    if with_long_parts:
        lines.insert(len(lines) // 3, f"silence\t{LONG_S}")
        lines.insert(2 * len(lines) // 3, f"silence\t1\nmusic\t4711\t{LONG_S}\t-24\nsilence\t1")
    return lines, spoken


def make_recording(arguments, lines, name):
    plan, wav, labels = (arguments.folder / f"{name}.{suffix}" for suffix in ("plan", "wav", "labels"))
    plan.write_text("\n".join(lines) + "\n", encoding="utf-8")
    subprocess.run([arguments.make_mixture, "--plan", plan, "--out", wav, "--labels", labels], check=True, stdout=sys.stderr)
    rows = [line.split("\t") for line in labels.read_text(encoding="utf-8").splitlines()]
    return wav, [(float(start), float(end), kind, label) for start, end, kind, label in rows]


# ---- the program -----------------------------------------------------------------------------------------------------

def transcribe(arguments, *options):
    """Runs the program; JSON documents, wall-clock seconds, peak memory of the process."""
    out = tempfile.mkdtemp(dir=arguments.folder)
    command = [arguments.program, "transcribe", "--quiet", "-f", "json", "-o", out, *arguments.model_options, *options]
    print("+ " + " ".join(map(str, command)), file=sys.stderr)
    start = time.monotonic()
    process = subprocess.Popen(list(map(str, command)))
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"long_audio.py: exit code {process.returncode}")
    documents = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in pathlib.Path(out).glob("*.json")}
    return Result(documents, wall_s, usage.ru_maxrss * 1024)


# ---- words -----------------------------------------------------------------------------------------------------------

def words(text):
    return re.findall(r"[a-z']+", text.lower())


def word_errors(reference, hypothesis):
    """Levenshtein distance of two lists of words, near the diagonal."""
    band = BAND + abs(len(reference) - len(hypothesis))
    far = len(reference) + len(hypothesis)
    row = {j: j for j in range(min(band, len(hypothesis)) + 1)}
    for i, expected in enumerate(reference, 1):
        middle = i * len(hypothesis) // max(len(reference), 1)
        new = {}
        for j in range(max(0, middle - band), min(len(hypothesis), middle + band) + 1):
            best = row.get(j, far) + 1
            if j > 0:
                best = min(best, new.get(j - 1, far) + 1, row.get(j - 1, far) + (expected != hypothesis[j - 1]))
            new[j] = best
        row = new
    return row[len(hypothesis)]


def text_rows(arguments):
    unique = held_out()
    singles = transcribe(arguments, *[file for file, _ in unique]).document
    errors = {file: word_errors(words(reference), words(singles[file.stem]["text"])) for file, reference in unique}
    lines, spoken = plan_of(arguments.minutes, 1, with_long_parts=True)
    wav, labels = make_recording(arguments, lines, "joined")
    document = transcribe(arguments, wav).document["joined"]

    reference = [word for _, text in spoken for word in words(text)]
    single_wer = 100 * sum(errors[file] for file, _ in spoken) / len(reference)
    joined_wer = 100 * word_errors(reference, words(document["text"])) / len(reference)
    texts = [(segment["start"], segment["end"], segment["text"]) for segment in document["segments"] if segment["text"]]
    lost = [label for start, end, kind, label in labels
            if kind == "speech" and not any(s < end - 0.1 and e > start + 0.1 for s, e, _ in texts)]
    long_parts = [(start, end) for start, end, kind, _ in labels if kind in ("silence", "music") and end - start >= LONG_S]
    invented = [text for s, e, text in texts if any(s > start - 1 and e < end + 1 for start, end in long_parts)]
    hour = f"{document['duration'] / 60:.0f} minutes joined from {len(spoken)} recordings"
    for label in lost:
        print(f"  lost: {label}", file=sys.stderr)
    for text in invented:
        print(f"  invented: {text}", file=sys.stderr)
    return [(f"{hour}: word errors", f"<= {single_wer:.2f} + 0.5 %", f"{joined_wer:.2f} %", joined_wer <= single_wer + 0.5),
            ("  recordings without text", "0", str(len(lost)), not lost),
            ("  text in 5 min of silence and 5 min of music", "none", f"{sum(len(words(t)) for t in invented)} words", not invented)]


# ---- memory ----------------------------------------------------------------------------------------------------------

def megabytes(n_bytes):
    return f"{n_bytes / 1e6:.0f} MB"


def memory_rows(arguments):
    files = [make_recording(arguments, plan_of(5, seed)[0], f"five_{seed}")[0] for seed in range(8)]
    one = transcribe(arguments, files[0]).peak_bytes
    eight = transcribe(arguments, *files).peak_bytes
    return [("peak memory, 8 recordings of 5 minutes at once", f"<= 1.25 x {megabytes(one)}", f"{megabytes(eight)} ({eight / one:.2f} x)",
             eight <= 1.25 * one)]


def length_rows(arguments):
    minutes = 10
    factor = 6 if arguments.quick else 60
    lines, _ = plan_of(minutes, 3)
    short, _ = make_recording(arguments, lines, "short")
    long, _ = make_recording(arguments, lines * factor, "long")
    first, second = transcribe(arguments, short).peak_bytes, transcribe(arguments, long).peak_bytes
    return [(f"peak memory, {minutes * factor / 60:.0f} h against {minutes} min", f"<= 1.10 x {megabytes(first)}",
             f"{megabytes(second)} ({second / first:.2f} x)", second <= 1.1 * first)]


# ---- speed -----------------------------------------------------------------------------------------------------------

def speed_rows(arguments):
    wav, _ = make_recording(arguments, plan_of(arguments.minutes if not arguments.model else arguments.model_minutes, 5)[0], "speed")
    limits = ["--no-guards", "--max-tokens", arguments.max_tokens] if arguments.max_tokens else []
    load_s = transcribe(arguments, *limits, ROOT / "models/demo-en/samples/silence.wav").wall_s
    batched = transcribe(arguments, *limits, "--batch", arguments.batch, wav)
    single = transcribe(arguments, *limits, "--batch", 1, wav)
    document = batched.document["speed"]
    segments = document["segments"]
    audio_s = sum(segment["end"] - segment["start"] for segment in segments)
    n_tokens = document["timings"]["generated_tokens"] / len(segments)
    bench = [arguments.program, "bench", "--json", "--batch", arguments.batch, "--audio-s", f"{audio_s / len(segments):.2f}",
             "--tokens", max(1, round(n_tokens)), "--runs", 3,
             *(arguments.model_options or ["--model", ROOT / "models/demo-en"])]
    print("+ " + " ".join(map(str, bench)), file=sys.stderr)
    report = json.loads(subprocess.run(list(map(str, bench)), stdout=subprocess.PIPE, check=True).stdout)
    bench_speed = report["rtfx"]
    speed = audio_s / (batched.wall_s - load_s)
    gain = (single.wall_s - load_s) / (batched.wall_s - load_s)
    what = f"{document['duration'] / 60:.0f} minutes, {len(segments)} segments, {n_tokens:.0f} tokens each"
    bar = 1.8 if arguments.model else None
    return [(f"{what}: speech a second", f">= 0.85 x {bench_speed:.1f} (qasr bench)", f"{speed:.1f} ({speed / bench_speed:.2f} x)",
             speed >= 0.85 * bench_speed),
            (f"  batch {arguments.batch} against batch 1", f">= {bar} x" if bar else "", f"{gain:.2f} x", gain >= bar if bar else None)]


PARTS = {"text": text_rows, "memory": memory_rows, "length": length_rows, "speed": speed_rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    build = ROOT / "build/release"
    parser.add_argument("--program", type=pathlib.Path, default=build / "bin/qasr")
    parser.add_argument("--make-mixture", type=pathlib.Path, default=build / "tools/make_mixture")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--model", help="checkpoint for the speed; default: the demonstration model")
    parser.add_argument("--max-tokens", type=int, help="per segment, for checkpoints that never end an answer; also turns guards off")
    parser.add_argument("--model-minutes", type=int, default=6, help="length of the recording for --model")
    arguments = parser.parse_args()
    arguments.minutes = 10 if arguments.quick else 60
    arguments.model_options = ["--model", arguments.model] if arguments.model else []
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        arguments.folder = pathlib.Path(folder)
        for part in arguments.only.split(","):
            rows += PARTS[part](arguments)
    width = max(len(row[0]) for row in rows)
    for what, bar, measured, passed in rows:
        print(f"{what:{width}}  {bar:28}  {measured:24}  { {True: 'yes', False: 'NO', None: ''}[passed] }")
    return 0 if all(passed is not False for *_, passed in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
