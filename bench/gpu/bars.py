#!/usr/bin/env python3
"""Runs everything that the table of speed goals on a GPU needs and prints it: measured values beside goals.

    bench/gpu/bars.py                           builds nothing: takes build/release/bench/gpu/gpu_bench
    bench/gpu/bars.py --build --test            configures, builds and runs the tests of the GPU backend first
    bench/gpu/bars.py --only main large         some of: main large formats gpus memory transformers
    bench/gpu/bars.py --json results.json       keeps what was measured

Goals are for one H100 80 GB, synthetic 0.6B, forced tokens, bf16. `transformers` needs PyTorch and transformers 5.17 for the
python that runs this script; `gpus` needs two GPUs. What is missing is said in the table.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SMALL, LARGE = "qwen3-asr-0.6b", "qwen3-asr-1.7b"
PARTS = ("main", "large", "formats", "gpus", "memory", "transformers")

# (what, goal, unit, higher is better, key)
GOALS = (
    ("128 two-minute clips, each as four segments of 30 s", 6000, "audio s/s", True, "segments_128"),
    ("the same as whole sequences", 3000, "audio s/s", True, "whole_128"),
    ("the same with an fp8 cache (no goal)", None, "audio s/s", True, "fp8_cache_whole_128"),
    ("one two-minute clip as four segments", 800, "audio s/s", True, "single_segments"),
    ("one two-minute clip as one sequence", 300, "audio s/s", True, "single_whole"),
    ("first token of one 10 s clip, p50", 20, "ms", False, "first_token_p50_ms"),
    ("encoder, 128 x 30 s, in its products", 50, "% of the peak", True, "encoder_products_percent"),
    ("log-mel", 5, "% of the total", False, "log_mel_percent"),
    ("decode step, 128 sequences of 30 s", 60, "% of the copy bandwidth", True, "decode_percent"),
    ("GPU memory, one clip at a time", 2500, "MB", False, "memory_mb"),
    ("the same with q8 weights (no goal)", None, "MB", False, "q8_memory_mb"),
    ("1.7B, 128 clips of 30 s", 2500, "audio s/s", True, "large_clips30_128"),
    ("two GPUs", 1.9, "times one", True, "gpus_ratio"),
    ("transformers at batch 128, 30 s clips, from log-mel", 15, "times slower", True, "transformers_ratio"),
    ("the same from samples, features on the GPU", 15, "times slower", True, "transformers_samples_ratio"),
    ("the same from samples, features on the CPU, its default", 15, "times slower", True, "transformers_default_ratio"),
)


def run(command, **options):
    print("+ " + " ".join(map(str, command)), file=sys.stderr, flush=True)
    return subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def values_of(text, prefix=""):
    """Lines `name value` of gpu_bench."""
    return {prefix + name: float(value) for name, value in (line.split() for line in text.splitlines())}


def gpu_memory_mb():
    mib = run_quietly(["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "-i", "0"])
    return float(mib.splitlines()[0]) * 1.048576


def run_quietly(command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def peak_memory_mb(command):
    """Most memory in use on GPU 0 while the command runs, less what was in use before it."""
    before, peak, done = gpu_memory_mb(), 0.0, threading.Event()

    def watch():
        nonlocal peak
        while not done.is_set():
            peak = max(peak, gpu_memory_mb())
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        run(command)
    finally:
        done.set()
        watcher.join()
    return peak - before


def measure(arguments):
    bench, results = arguments.program, {}
    if "main" in arguments.only:
        results |= values_of(run([bench, SMALL, "bars"]))
    if "large" in arguments.only:
        results |= values_of(run([bench, LARGE, "bars"]), "large_")
    if "formats" in arguments.only:
        results |= values_of(run([bench, SMALL, "bars", "--kv-cache", "fp8"]), "fp8_cache_")
        results |= values_of(run([bench, SMALL, "bars", "--weights", "q8"]), "q8_")
        results |= values_of(run([bench, SMALL, "bars", "--weights", "fp8", "--kv-cache", "fp8"]), "fp8_")
    if "memory" in arguments.only:
        results["memory_mb"] = peak_memory_mb([bench, SMALL, "single"])
        results["q8_memory_mb"] = peak_memory_mb([bench, SMALL, "single", "--weights", "q8"])
    if "gpus" in arguments.only:
        n_gpus = len(run_quietly(["nvidia-smi", "-L"]).splitlines())
        if n_gpus > 1:
            results |= values_of(run([bench, SMALL, "gpus", "--gpus", n_gpus]))
    if "transformers" in arguments.only:
        line = run([sys.executable, ROOT / "tools" / "time_transformers.py", "--batch", 128, "--runs", 3])
        results["transformers"] = json.loads(line.splitlines()[-1])
    return results


def compare(results):
    """Adds the ratios that take two measurements."""
    reference, ours = results.get("transformers"), results.get("clips30_128")
    if reference and ours:
        results["transformers_ratio"] = ours / reference["audio_s_per_s"]
        results["transformers_samples_ratio"] = ours / reference["audio_s_per_s_from_samples"]
        results["transformers_default_ratio"] = ours / reference["audio_s_per_s_by_default"]


def print_table(results):
    print("| What | Goal | Measured | |\n|---|---|---|---|")
    for what, goal, unit, higher, key in GOALS:
        if key not in results:
            print(f"| {what} | {'' if goal is None else f'{goal:g} {unit}'} | not measured | |")
            continue
        value = results[key]
        text = f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
        if goal is None:
            print(f"| {what} | | {text} {unit} | |")
            continue
        met = value >= goal if higher else value <= goal
        verdict = "met" if met else f"missed by {100 * abs(value / goal - 1):.0f} %"
        print(f"| {what} | {goal:g} {unit} | {text} | {verdict} |")
    for key in ("copy_tb_s", "peak_tflops"):
        if key in results:
            print(f"{key} {results[key]:.4g}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=ROOT / "build/release/bench/gpu/gpu_bench", type=pathlib.Path)
    parser.add_argument("--build", action="store_true", help="cmake and ninja with QASR_CUDA=on")
    parser.add_argument("--test", action="store_true", help="the tests of the GPU backend")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.build:
        run(["cmake", "--preset", "release", "-DQASR_CUDA=on"], cwd=ROOT)
        run(["cmake", "--build", "build/release"], cwd=ROOT)
    if arguments.test:
        run(["ctest", "--test-dir", "build/release", "--output-on-failure", "-R",
             "qasr_cuda_test|qasr_golden_demo_test|qasr_heldout_test"], cwd=ROOT, env=os.environ)
    results = measure(arguments)
    compare(results)
    print_table(results)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
