#!/usr/bin/env python3
"""Prints the bars of live transcription beside what this machine reaches.

    bench/streaming.py                       everything; about 15 minutes, most of it paced streams in real time
    bench/streaming.py  --only text,delay     some of: text, delay, streams, cost, hour, short
    bench/streaming.py --seconds 40          shorter paced streams

text     the held-out recordings as streams in pushes of 100, 320 and 1,000 ms and of random length: how many final texts
         equal the offline text, and the word error rates
delay    commit delay of words in a paced stream of the demonstration model (balanced); flite speaks the held-out sentences
         and says when each phone ends, so word ends are known
streams  1, 4 and 16 paced streams of the demonstration model
cost     synthetic 0.6B, q8: compute per audio second in the first minute (unpaced, presets balanced and accurate)
hour     demonstration model, an hour unpaced: compute and memory at the end against the beginning
hour-0.6b  the same with synthetic 0.6B, as in cost; a quarter of an hour, only if asked for
short    synthetic 0.6B: a stream of 30 s against the offline run of as many tokens

Needs a built `qasr` (QASR_PROGRAM or build/release/bin/qasr) and, for word ends, flite (Debian package).
"""

import argparse
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
HELDOUT = ROOT / "tests/data/heldout"
PROGRAM = os.environ.get("QASR_PROGRAM", str(ROOT / "build/release/bin/qasr"))
VOICES = {"seen_flite_slt": "slt", "seen_flite_awb": "awb", "seen_flite_rms": "rms", "seen_flite_kal16": "kal16"}
failures = []


def bar(what, reached, text, holds):
    print(f"  {'ok  ' if holds else 'MISS'}  {what:<58} {reached:>12}   bar {text}", flush=True)
    if not holds:
        failures.append(what)


def held_out():
    lines = (HELDOUT / "manifest.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return [line.split("\t") for line in lines]


def words(text):
    return re.findall(r"[a-z']+", text.lower())


# ---- test audio whose word ends are known ----------------------------------------------------------------------------

def speak(voice, text, path):
    """[(phone, end_s)] of a recording that flite writes."""
    output = subprocess.run(["flite", "-voice", voice, "-psdur", "-t", text, "-o", path], check=True, capture_output=True,
                            text=True).stdout
    return [(phone, float(end)) for phone, end in (pair.split(":") for pair in output.split())]


def word_ends(voice, sentence, path):
    """When the words end: each has as many phones as when it is spoken alone. None if that does not add up."""
    phones = [phone for phone in speak(voice, sentence, path) if phone[0] != "pau"]
    ends, used = [], 0
    for word in words(sentence):
        used += sum(phone != "pau" for phone, _ in speak(voice, word, "none"))
        if used > len(phones):
            return None
        ends.append(phones[used - 1][1])
    return ends if used == len(phones) else None


def make_manifest(folder):
    rows = []
    for name, file, sentence in held_out():
        if name not in VOICES:
            continue
        path = folder / (pathlib.Path(file).stem + ".wav")
        ends = word_ends(VOICES[name], sentence, path)
        if ends:
            rows.append("\t".join([path.name, sentence, " ".join(f"{end:.3f}" for end in ends)]))
    random.Random(1).shuffle(rows)
    manifest = folder / "manifest.tsv"
    manifest.write_text("\n".join(rows) + "\n", encoding="utf-8")
    print(f"{len(rows)} sentences spoken by flite, with the ends of their words")
    return manifest


def plain_manifest(folder):
    """The held-out recordings without word ends, for measurements of cost."""
    manifest = folder / "plain.tsv"
    manifest.write_text("".join(f"{HELDOUT / file}\t{sentence}\t\n" for _, file, sentence in held_out()), encoding="utf-8")
    return manifest


def synthetic_model(folder):
    """The synthetic 0.6B checkpoint that `qasr bench` keeps, with the tokenizer that it lacks."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "qasr"
    checkpoint = cache / "synthetic-qwen3-asr-0.6b-seed-0"
    if not checkpoint.exists():
        bench("--audio-s", 1, "--tokens", 1, "--runs", 1)
    model = folder / "synthetic"
    subprocess.run([sys.executable, ROOT / "tools/unpack_qwen3_tokenizer.py", ROOT / "tests/data/qwen3-tokenizer", model],
                   check=True)
    for file in checkpoint.iterdir():
        if not (model / file.name).exists():
            (model / file.name).symlink_to(file)
    return model


def bench(*arguments):
    result = subprocess.run([PROGRAM, "bench", "--quiet", "--json", *map(str, arguments)], check=True, capture_output=True)
    return json.loads(result.stdout)


# ---- the bars --------------------------------------------------------------------------------------------------------

def text(arguments):
    print("text: held-out recordings as streams of the demonstration model, balanced")
    for push_ms in (100, 320, 1000, 0):
        name = f"{push_ms} ms" if push_ms else "random length"
        report = bench("--model", "demo", "--stream", arguments.plain, "--compare-texts", push_ms)
        equal = 100 * report["equal"] / report["recordings"]
        offline, live = (100 * report[key] / report["words"] for key in ("offline_edits", "stream_edits"))
        bar(f"pushes of {name}: final text equals the offline one", f"{equal:.1f} %", ">= 95 %", equal >= 95)
        bar(f"pushes of {name}: word error rate (offline {offline:.2f} %)", f"{live:.2f} %", "within 0.3", live - offline <= 0.3)
        for pair in report["different"]:
            print(f"        offline: {pair['offline']}\n        stream:  {pair['stream']}")


def delay(arguments):
    print("delay: paced stream of the demonstration model, balanced")
    report = bench("--model", "demo", "--stream", arguments.manifest, "--audio-s", arguments.seconds)
    show_delays(report, 1.0, 2.0)


def show_delays(report, p50, p95):
    d = report["commit_delay_s"]
    bar(f"commit delay p50 ({d['n']} words, {report['streams']} streams)", f"{d['p50']:.2f} s", f"<= {p50} s", d["p50"] <= p50)
    bar("commit delay p95", f"{d['p95']:.2f} s", f"<= {p95} s", d["p95"] <= p95)
    print(f"        commit delay p99 {d['p99']:.2f} s; first partial p50 {report['first_partial_s']['p50']:.2f} s; "
          f"{report['words_found']} of {report['words']} words; compute {report['compute_per_audio_s']:.3f} s per audio second")


def streams(arguments):
    print("streams: paced, demonstration model, balanced")
    for count in (1, 4, 16):
        report = bench("--model", "demo", "--stream", arguments.manifest, "--audio-s", arguments.seconds, "--streams", count)
        d = report["commit_delay_s"]
        print(f"  {count:2d} streams: first partial {report['first_partial_s']['p50']:.2f} s, commit delay p50 {d['p50']:.2f} "
              f"p95 {d['p95']:.2f} p99 {d['p99']:.2f} s, compute {report['compute_per_audio_s']:.3f} s per audio second")
        bar(f"{count} streams keep real time: end behind the audio", f"{report['tail_s']:.2f} s", "<= 2 s", report["tail_s"] <= 2)


def cost(arguments):
    print("cost: synthetic 0.6B, q8, 4 tokens per second, unpaced")
    for latency in ("balanced", "accurate"):
        report = bench("--model", arguments.synthetic, "--tokens-per-s", 4, "--stream", arguments.plain, "--audio-s",
                       min(60, arguments.seconds), "--unpaced", "--latency", latency)
        reached = report["first_minute_per_audio_s"]
        shares = ", ".join(f"{name} {report[key] / report['audio_s'] / 1000:.3f}" for name, key in (
            ("log-mel and cutting", "preprocessing_ms"), ("encoder", "audio_encoding_ms"), ("prefill", "prefill_ms"),
            ("text in all", "text_generation_ms")))
        bar(f"compute per audio second, first minute, {latency}", f"{reached:.3f} s", "<= 0.25 s", reached <= 0.25)
        print(f"        {shares}")
        print(f"        {report['steps'] / report['audio_s']:.2f} steps; encoder {report['encoded_rows_per_s']:.1f}, prefill "
              f"{report['prefilled_rows_per_s']:.1f} rows, {report['decoded_tokens_per_s']:.2f} tokens decoded (offline: 13.0, "
              "13.5, 4.00)")


def hour(arguments):
    print(f"hour: demonstration model, {arguments.minutes:g} minutes unpaced")
    long_stream(arguments, "--model", "demo")


def hour_06b(arguments):
    print(f"hour-0.6b: synthetic 0.6B, q8, 4 tokens per second, {arguments.minutes:g} minutes unpaced")
    report = long_stream(arguments, "--model", arguments.synthetic, "--tokens-per-s", 4)
    print(f"        {report['first_minute_per_audio_s']:.3f} and {report['last_minute_per_audio_s']:.3f} s per audio second")


def long_stream(arguments, *model):
    report = bench(*model, "--stream", arguments.plain, "--audio-s", 60 * arguments.minutes, "--unpaced")
    first, last = report["first_minute_per_audio_s"], report["last_minute_per_audio_s"]
    bar("compute per audio second, last minute against first", f"{last / first:.2f}", "<= 1.1", last <= 1.1 * first)
    growth = 100 * (report["late_rss_mb"] / report["early_rss_mb"] - 1)
    bar(f"memory at the end against minute 2 ({report['early_rss_mb']:.0f} MB)", f"{growth:+.1f} %", "<= 5 %", growth <= 5)
    return report


def short(arguments):
    print("short: synthetic 0.6B, q8, 30 s, 120 tokens, against the offline run")
    offline = bench("--audio-s", 30, "--tokens", 120, "--runs", 1)["total_ms"] / 1000
    for latency in ("balanced", "accurate"):
        report = bench("--model", arguments.synthetic, "--tokens-per-s", 4, "--stream", arguments.plain, "--audio-s", 30,
                       "--unpaced", "--latency", latency)
        ratio = report["compute_per_audio_s"] * report["audio_s"] / offline
        bar(f"compute of a 30 s stream / offline run ({offline:.1f} s), {latency}", f"{ratio:.2f}", "<= 3", ratio <= 3)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="text,delay,streams,cost,hour,short")
    parser.add_argument("--seconds", type=float, default=120, help="length of paced streams")
    parser.add_argument("--minutes", type=float, default=60, help="length of the long stream")
    arguments = parser.parse_args()
    steps = arguments.only.split(",")
    with tempfile.TemporaryDirectory() as folder:
        arguments.plain = plain_manifest(pathlib.Path(folder))
        if "delay" in steps or "streams" in steps:
            arguments.manifest = make_manifest(pathlib.Path(folder))
        if {"cost", "short", "hour-0.6b"} & set(steps):
            arguments.synthetic = synthetic_model(pathlib.Path(folder))
        for step in steps:
            {"text": text, "delay": delay, "streams": streams, "cost": cost, "hour": hour, "hour-0.6b": hour_06b,
             "short": short}[step](arguments)
    print("all bars hold" if not failures else f"{len(failures)} bars missed: " + "; ".join(failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
