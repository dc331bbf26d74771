#!/usr/bin/env python3
"""Runs everything that the table of speed goals needs and prints it: measured medians beside goals and limits.

    bench/bars.py                     synthetic 0.6B and 1.7B, all rows; some minutes
    bench/bars.py --json results.json keeps what was measured

Goals are for both cores of the machine named in docs/performance.md (Zen 5, AVX-512). Decode steps are judged against the
memory bandwidth measured between the runs of the same process.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PRODUCT_KINDS = {"f32": "f32", "bf16": "bf16", "q8": "int8"}  # ours -> oneDNN's


# ---- measuring -------------------------------------------------------------------------------------------------------

def measure(arguments, options, isa=None):
    """The JSON of one `qasr bench`."""
    command = [arguments.program, "bench", "--json", "--runs", arguments.runs, "--threads", arguments.threads, *options]
    command += ["--cache-dir", arguments.cache_dir] if arguments.cache_dir else []
    model = arguments.model
    if model is not None:  # one checkpoint in place of both sizes
        command = [part for part in command if part not in ("--synthetic", "1.7b")] + ["--model", model]
    print("+ " + " ".join(map(str, command)), file=sys.stderr)
    environment = {**os.environ, **({"QASR_CPU_ISA": isa} if isa else {})}
    return json.loads(subprocess.run(list(map(str, command)), env=environment, stdout=subprocess.PIPE, check=True).stdout)


def measure_products(arguments):
    """{(kind, shape): operations per second}: ours under "q8", oneDNN's under "OneDnn/int8". Medians of repetitions in random
    order, so that a machine that slows down for a while slows both."""
    command = [arguments.kernels, "--benchmark_filter=^(Linear/(f32|bf16|q8)/rows:(390|405|8000|2080)/|OneDnn/)",
               "--benchmark_format=json", "--benchmark_min_time=0.05", f"--benchmark_repetitions={arguments.runs}",
               "--benchmark_enable_random_interleaving=true"]
    print("+ " + " ".join(map(str, command)), file=sys.stderr)
    environment = {**os.environ, "QASR_BENCH_THREADS": str(arguments.threads)}
    output = subprocess.run(list(map(str, command)), env=environment, stdout=subprocess.PIPE, check=True).stdout
    rates = {}
    for entry in json.loads(output)["benchmarks"]:
        if entry["run_type"] != "iteration" or "FLOP/s" not in entry:
            continue
        family, kind, shape = entry["name"].removesuffix("/real_time").split("/", 2)
        rates.setdefault((kind if family == "Linear" else f"OneDnn/{kind}", shape), []).append(entry["FLOP/s"])
    return {key: statistics.median(values) for key, values in rates.items()}


def measure_all(arguments):
    clip = ["--audio-s", arguments.audio_s, "--tokens", arguments.tokens]
    results = {
        "q8": measure(arguments, [*clip, "--weights", "q8"]),
        "q4": measure(arguments, [*clip, "--weights", "q4"]),
        "batch 8": measure(arguments, [*clip, "--weights", "q8", "--batch", 8]),
        "batch 4": measure(arguments, [*clip, "--weights", "q8", "--batch", 4]),
        # Twice: the first run may have to pack the weights, the second finds them and the files in memory.
        "packed": [measure(arguments, ["--audio-s", 1, "--tokens", 1, "--weights", "q8", "--packed"]) for _ in range(2)][1],
        "1.7b": measure(arguments, [*clip, "--weights", "q8", "--synthetic", "1.7b"]),
    }
    if results["q8"]["isa"].startswith("avx512"):
        results["avx2"] = measure(arguments, [*clip, "--weights", "q8"], isa="avx2")
    products = measure_products(arguments) if arguments.kernels.exists() else {}
    return results, products


# ---- the table -------------------------------------------------------------------------------------------------------

def row(what, bar, measured, passed, limit=""):
    """passed: True, False, or None when there is nothing to compare."""
    return (what, bar, measured, limit, {True: "yes", False: "NO", None: ""}[passed])


def time_row(what, bar_ms, measured_ms, limit=None):
    limit_text = f"{limit['limit_ms']:.0f} ms ({limit['percent']:.0f} % of it reached)" if limit and limit["limit_ms"] else ""
    return row(what, f"<= {bar_ms} ms", f"{measured_ms:.1f} ms", measured_ms <= bar_ms, limit_text)


def decode_row(report):
    limit = report["limits"]["decode_step"]
    return row(f"decode step, 1 sequence, {report['weights']}", ">= 75 % of read bandwidth",
               f"{limit['percent']:.0f} %: {report['decode_ms_per_token']:.2f} ms, {report['decode_gbs']:.1f} GB/s",
               limit["percent"] >= 75,
               f"{report['decode_bytes_per_step'] / 1e6:.0f} MB at {report['machine']['read_gbs']:.1f} GB/s")


def total_row(report, bar_s):
    normal_s = report["total_at_60_gbs_ms"] / 1000
    return row(f"all stages, {report['audio_s']:g} s + {report['tokens']} tokens, {report['weights']}, at 60 GB/s",
               f"<= {bar_s} s", f"{normal_s:.2f} s ({report['total_ms'] / 1000:.2f} s as measured)", normal_s <= bar_s,
               f"{report['limits']['total']['limit_ms'] / 1000:.2f} s as measured")


def factor_row(what, bar, slow_ms, fast_ms):
    factor = slow_ms / fast_ms
    return row(what, f"<= {bar} times", f"{factor:.2f} times", factor <= bar, f"{slow_ms:.1f} ms, {fast_ms:.1f} ms")


def product_rows(products):
    for ours, theirs in PRODUCT_KINDS.items():
        ratios = {shape: rate / products[f"OneDnn/{theirs}", shape] for (kind, shape), rate in products.items()
                  if kind == ours and (f"OneDnn/{theirs}", shape) in products}
        what = f"products of encoder and prefill, {ours} to oneDNN {theirs}"
        if not ratios:
            yield row(what, ">= 85 %", "not measured", None)
            continue
        worst = min(ratios, key=ratios.get)
        yield row(what, ">= 85 %", f"{100 * min(ratios.values()):.0f} to {100 * max(ratios.values()):.0f} %",
                  min(ratios.values()) >= 0.85, f"lowest at {worst}")


def table(results, products):
    q8, q4, eight, four = (results[name] for name in ("q8", "q4", "batch 8", "batch 4"))
    rows = [
        time_row(f"log-mel, {q8['audio_s']:g} s", 15, q8["mel_ms"]),
        time_row(f"stem + encoder, {q8['audio_s']:g} s, q8", 380, q8["encoder_ms"], q8["limits"]["encoder"]),
        time_row(f"prefill, {q8['prompt_tokens']} rows, q8", 480, q8["prefill_ms"], q8["limits"]["prefill"]),
        decode_row(q8),
        decode_row(q4),
        factor_row("decode step, 8 sequences to 1, q8", 2, eight["decode_ms_per_token"], q8["decode_ms_per_token"]),
        total_row(q8, 2.2),
        total_row(q4, 1.8),
        time_row(f"{4 * four['audio_s']:g} s as 4 segments, {4 * four['tokens']} tokens, q8", 4500, four["total_ms"],
                 four["limits"]["total"]),
        *product_rows(products),
        row("peak memory, q8", "<= 1300 MB", f"{q8['peak_rss_mb']:.0f} MB (runs {q8['runs_peak_rss_mb']:.0f} MB)",
            q8["peak_rss_mb"] <= 1300),
        row("start to first text, packed cache", "<= 0.5 s + work", f"{results['packed']['load_ms'] / 1000:.2f} s of loading",
            results["packed"]["packed_mapped"] and results["packed"]["load_ms"] <= 500),
    ]
    if "avx2" in results:
        rows.append(factor_row("total, AVX2 forced", 2.5, results["avx2"]["total_ms"], q8["total_ms"]))
    else:
        rows.append(row("total, AVX2 forced", "<= 2.5 times", "not measured: no AVX-512 here", None))
    rows.append(factor_row("total, 1.7B to 0.6B", 2.9, results["1.7b"]["total_ms"], q8["total_ms"]))
    return rows


def print_table(results, products):
    q8 = results["q8"]
    machine, build = q8["machine"], q8["build"]
    print(f"{machine['cpu']}, {q8['isa']}, {q8['threads']} threads; commit {build['commit']}, {build['type']}, "
          f"{build['compiler']}; medians of {q8['runs']} runs.")
    peaks = [f"{name} {machine[name + '_' + unit]:.0f} {text}" for name, unit, text in
             (("f32", "gflops", "GFLOP/s"), ("bf16", "gflops", "GFLOP/s"), ("int8", "gops", "GOP/s"))
             if machine[name + "_" + unit] > 0]
    print(f"Limits: memory read {machine['read_gbs']:.1f} GB/s (one thread {machine['read_gbs_one_thread']:.1f}), "
          + ", ".join(peaks) + ".\n")
    print("| What | Bar | Measured | Limit | Met |\n|---|---|---|---|---|")
    for cells in table(results, products):
        print("| " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "build/release/bin/qasr")
    parser.add_argument("--kernels", type=pathlib.Path, default=ROOT / "build/release/bench/kernels_bench")
    parser.add_argument("--model", help="a checkpoint in place of the synthetic ones")
    parser.add_argument("--cache-dir", help="where the synthetic checkpoints and packed weights are kept")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--audio-s", type=float, default=30)
    parser.add_argument("--tokens", type=int, default=120)
    parser.add_argument("--json", type=pathlib.Path, help="file for everything that was measured")
    arguments = parser.parse_args()
    results, products = measure_all(arguments)
    if arguments.json:
        named_products = {f"{kind}/{shape}": rate for (kind, shape), rate in products.items()}
        arguments.json.write_text(json.dumps({"bench": results, "products": named_products}, indent=2))
    print_table(results, products)


if __name__ == "__main__":
    main()
