#!/usr/bin/env python3
"""Measures word times and prints the table of their goals.

    bench/align.py                       exactness of the built-in aligner, speed at full size on the CPU
    bench/align.py --exactness           the first half only; a minute
    bench/align.py --device cuda         speed on a GPU

Truth: word times of the synthesisers (tests/data/heldout/word_times.json). A word is lost if it is not in the result, or
more than a second from where it is said.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
HELD_OUT = ROOT / "tests/data/heldout"
SHIFT_BAR_MS, FAR_BAR, CPU_BAR_S, GPU_BAR, WORDS_BAR = 60, 0.02, 4.0, 2000, 0.60


def run(command, **options):
    print("+ " + " ".join(map(str, command)), file=sys.stderr)
    return subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, **options).stdout


# ---- exactness -------------------------------------------------------------------------------------------------------

def exactness_rows(arguments):
    result = json.loads(run([arguments.build / "bench/align_shift", arguments.aligner, HELD_OUT]))
    ours, official, long = result["repaired"], result["official"], result["long"]
    yield row(f"average absolute shift, {result['clips']} held-out recordings", f"<= {SHIFT_BAR_MS} ms",
              f"{ours['shift_ms']:.1f} ms (official correction {official['shift_ms']:.1f} ms)", ours["shift_ms"] <= SHIFT_BAR_MS)
    yield row(f"words off by more than 200 ms, of {ours['words']}", f"<= {100 * FAR_BAR:.0f} %",
              f"{100 * ours['far']:.1f} % (official correction {100 * official['far']:.1f} %)", ours["far"] <= FAR_BAR)
    yield row(f"words lost in {long['seconds'] / 60:.0f} joined minutes, of {long['words']}", "0",
              f"{long['lost']} ({long['pieces']} pieces, shift {long['shift_ms']:.1f} ms, {100 * long['far']:.1f} % off by "
              "more than 200 ms)", long["lost"] == 0)


# ---- speed -----------------------------------------------------------------------------------------------------------

def synthetic(arguments, config):
    path = arguments.checkpoints / config
    if not (path / "config.json").exists():
        run([arguments.build / "tools/make_synthetic_checkpoint", "--config", config, "--out", path, "--tokenizer",
             arguments.build / "qwen3-tokenizer"])
    return path


def align_speed(arguments, model, *options):
    return json.loads(run([arguments.build / "bench/align_speed", model, "--device", arguments.device, *options]))


def cpu_rows(arguments):
    model = synthetic(arguments, "qwen3-forced-aligner-0.6b")
    result = align_speed(arguments, model, "--weights", "q8", "--threads", 2)
    yield row(f"60 s, 180 words, full size, q8, {result['backend']}", f"<= {CPU_BAR_S:g} s",
              f"{result['seconds']:.2f} s (encoder {result['encoding_ms'] / 1000:.2f} s, decoder "
              f"{result['decoding_ms'] / 1000:.2f} s)", result["seconds"] <= CPU_BAR_S)
    yield words_row(arguments, model)


def words_row(arguments, aligner):
    """What --words adds to a transcription."""
    what, bar = "transcribe --words to transcribe, 0.6B, q8", f"<= {100 * WORDS_BAR:.0f} % more"
    if "--words" not in run([arguments.program, "transcribe", "--help"]).decode():
        return row(what, bar, "not measured: transcribe has no --words here", None)

    recogniser = synthetic(arguments, "qwen3-asr-0.6b")
    audio = ROOT / "models/demo-en/samples/long_rms.wav"
    command = [arguments.program, "transcribe", "-q", "--json", "--device", "cpu", "--max-tokens", 120, "--no-guards",
               "--model", recogniser, audio]  # synthetic answers never end and look like loops

    def total_ms(options):
        timings = json.loads(run(command + options))["timings"]
        return sum(value for key, value in timings.items() if key.endswith("_ms") and key != "prefill_ms")

    runs = [(total_ms([]), total_ms(["--words", "--aligner", aligner])) for _ in range(3)]
    plain, words = (statistics.median(column) for column in zip(*runs))
    return row(what, bar, f"{100 * (words / plain - 1):.0f} % ({plain:.0f} ms, {words:.0f} ms)", words <= (1 + WORDS_BAR) * plain)


def gpu_rows(arguments):
    model = synthetic(arguments, "qwen3-forced-aligner-0.6b")
    result = align_speed(arguments, model, "--clips", 128)
    yield row(f"128 clips of 60 s, 180 words each, {result['backend']}", f">= {GPU_BAR} audio s/s",
              f"{result['audio_s_per_s']:.0f} audio s/s ({result['seconds']:.2f} s)", result["audio_s_per_s"] >= GPU_BAR)


def row(what, bar, measured, passed):
    return what, bar, measured, {True: "yes", False: "NO", None: ""}[passed]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--aligner", type=pathlib.Path, default=ROOT / "models/demo-aligner-en", help="for exactness")
    parser.add_argument("--checkpoints", type=pathlib.Path, default=pathlib.Path(tempfile.gettempdir()) / "qasr-synthetic",
                        help="where synthetic checkpoints are kept")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--exactness", action="store_true", help="no speed")
    arguments = parser.parse_args()
    arguments.program = arguments.build / "bin/qasr"
    rows = [] if arguments.device == "cuda" else list(exactness_rows(arguments))
    if not arguments.exactness:
        rows += list(gpu_rows(arguments) if arguments.device == "cuda" else cpu_rows(arguments))
    print("| What | Bar | Measured | Met |\n|---|---|---|---|")
    for cells in rows:
        print("| " + " | ".join(cells) + " |")
    return 1 if any(cells[-1] == "NO" for cells in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
