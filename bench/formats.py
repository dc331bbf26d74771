#!/usr/bin/env python3
"""One model in every form: tokens, loss, load time, memory. Prints a Markdown table.

    bench/formats.py                              the demonstration model and a tiny one
    bench/formats.py --full                       and a synthetic 0.6B (half an hour on two cores, 7 GB of memory, 8 GB of disk)
    bench/formats.py --python /path/to/python     that has tools/requirements.txt, to write the forms
    bench/formats.py --models 0.6b --forms Q4     some rows: names that contain this

Forms are written by tools/convert_checkpoint.py, our own 4- and 8-bit ones by `qasr quantize`, and removed after their row.
Tokens and logits: qasr_compare_forms (tests/model/compare_forms.cc). Load time and memory: what `qasr transcribe` says and
the system counts when it opens the checkpoint, packs it and finds nothing to recognise; the shortest of a few runs, so
the file is in the page cache, and the largest of the peaks.
"""

import argparse
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "models/demo-en/samples"
LOAD_RUNS = 3
FORMS = (
    ("transformers bf16", "transformers", ()),
    ("MLX 4-bit, 64", "mlx", ("--bits", "4")),
    ("MLX 8-bit, 64", "mlx", ("--bits", "8")),
    ("llama.cpp BF16", "llama.cpp", ("--type", "BF16")),
    ("llama.cpp F16", "llama.cpp", ("--type", "F16")),
    ("llama.cpp Q8_0", "llama.cpp", ("--type", "Q8_0")),
    ("CrispASR Q6_K", "CrispASR", ("--type", "Q6_K")),
    ("CrispASR Q5_K", "CrispASR", ("--type", "Q5_K")),
    ("CrispASR Q4_K", "CrispASR", ("--type", "Q4_K")),
    ("qwen3-asr.cpp Q5_0", "qwen3-asr.cpp", ("--type", "Q5_0")),
    ("transcribe.cpp Q4_0", "transcribe.cpp", ("--type", "Q4_0")),
    ("qasr quantize --bits 8", "quantize", ("--bits", "8")),
    ("qasr quantize --bits 4", "quantize", ("--bits", "4")),
)
HEADINGS = ("model", "form", "MB", "tokens equal", "logits error of the form", "with automatic weights", "load ms", "peak MB")


def check(*command, **options):
    return subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, **options).stdout


# ---- forms -----------------------------------------------------------------------------------------------------------

def make_originals(arguments, directory):
    """(name, checkpoint in the official form, recordings to compare with)"""
    names = ["demo", "tiny_q"] + (["0.6b"] if arguments.full else [])
    for name in names:
        if arguments.models not in name:
            continue
        if name == "demo":
            yield name, ROOT / "models/demo-en", [SAMPLES / "meeting_rms.wav"]
            continue
        original = directory / name
        tokenizer = ROOT / "tests/data/formats" if name == "tiny_q" else arguments.build / "qwen3-tokenizer"
        check(arguments.build / "tools/make_synthetic_checkpoint", "--config", {"0.6b": "qwen3-asr-0.6b"}.get(name, name),
              "--out", original, "--tokenizer", tokenizer)
        yield name, original, []
        shutil.rmtree(original)


def write_form(arguments, original, kind, options, directory):
    is_file = kind in ("CrispASR", "qwen3-asr.cpp", "transcribe.cpp")
    out = directory / ("model.gguf" if is_file else "model")
    if kind == "quantize":
        check(arguments.build / "bin/qasr", "quantize", "-q", *options, original, out)
    else:
        check(arguments.python, ROOT / "tools/convert_checkpoint.py", original, "--to", kind, "--out", out, *options,
              stderr=subprocess.DEVNULL)
    return out


def size_mb(path):
    files = path.iterdir() if path.is_dir() else [path]
    return sum(f.stat().st_size for f in files if f.suffix in (".safetensors", ".gguf")) / 1e6


# ---- measuring -------------------------------------------------------------------------------------------------------

def compare(arguments, original, form, recording):
    command = arguments.build / "tests/model/qasr_compare_forms"
    return json.loads(check(command, original, form, *recording))


def load_once(arguments, form):
    """Milliseconds until the model is ready, peak memory of the process in MB."""
    command = [*shlex.split(arguments.timing_prefix), arguments.build / "bin/qasr", "transcribe", "--timings", "--model", form,
               SAMPLES / "silence.wav"]
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=messages)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        messages.seek(0)
        text = messages.read().decode("utf-8", "replace")
    if process.returncode != 0:
        sys.exit(f"formats.py: exit code {process.returncode}: {text}")
    return float(re.search(r"model loading ([\d.]+) ms", text).group(1)), usage.ru_maxrss * 1024 / 1e6


def row(arguments, name, model, original, form, recording):
    found = compare(arguments, original, form, recording)
    loads = [load_once(arguments, form) for _ in range(LOAD_RUNS)]
    error = "0" if found["error_f32"] == 0 else f"{found['error_f32']:.1e}"
    cells = (model, name, f"{size_mb(form):.1f}", "yes" if found["tokens_equal"] else "no", error, f"{found['error_auto']:.1e}",
             f"{min(ms for ms, _ in loads):.0f}", f"{max(mb for _, mb in loads):.0f}")
    print("| " + " | ".join(cells) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--models", default="", help="models whose name contains this: demo, tiny_q, 0.6b")
    parser.add_argument("--forms", default="", help="forms whose name contains this")
    parser.add_argument("--timing-prefix", default="", help="before the command whose load time is measured, e.g. taskset -c 0,1")
    arguments = parser.parse_args()
    arguments.full = arguments.full or arguments.models == "0.6b"
    print("| " + " | ".join(HEADINGS) + " |\n|" + "---|" * len(HEADINGS), flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(temporary)
        for model, original, recording in make_originals(arguments, directory):
            if arguments.forms in "official bf16":
                row(arguments, "official bf16", model, original, original, recording)
            for name, kind, options in FORMS:
                if arguments.forms not in name:
                    continue
                folder = directory / "form"
                folder.mkdir()
                row(arguments, name, model, original, write_form(arguments, original, kind, options, folder), recording)
                shutil.rmtree(folder)


if __name__ == "__main__":
    main()
