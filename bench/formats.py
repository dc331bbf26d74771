#!/usr/bin/env python3
"""One model in every form: tokens, loss, load time, memory. Prints a Markdown table.

    bench/formats.py                              the demonstration model and a tiny one
    bench/formats.py --full                       and a synthetic 0.6B (some minutes, 6 GB of memory, 15 GB of disk)
    bench/formats.py --python /path/to/python     that has tools/requirements.txt, to write the forms

Forms are written by tools/convert_checkpoint.py, our own 4- and 8-bit ones by `qasr quantize`. Columns: qasr_compare_forms.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
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


def check(*command, **options):
    return subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, **options).stdout


def write_form(arguments, original, kind, options, directory):
    out = directory / ("model.gguf" if kind not in ("mlx", "transformers", "llama.cpp", "quantize") else "model")
    if kind == "quantize":
        check(arguments.build / "bin/qasr", "quantize", "-q", *options, original, out)
    else:
        check(arguments.python, ROOT / "tools/convert_checkpoint.py", original, "--to", kind, "--out", out, *options,
              stderr=subprocess.DEVNULL)
    return out


def size_mb(path):
    files = path.iterdir() if path.is_dir() else [path]
    return sum(f.stat().st_size for f in files if f.suffix in (".safetensors", ".gguf")) / 1e6


def row(name, model, path, result):
    lossless = "equal" if result["error_f32"] == 0 else f"{result['error_f32']:.1e}"
    return (f"| {model} | {name} | {size_mb(path):.1f} | {'yes' if result['tokens_equal'] else 'no'} | {lossless} | "
            f"{result['error_auto']:.1e} | {result['load_ms']:.0f} | {result['peak_mb']:.0f} |")


def subjects(arguments, directory):
    yield "demo", ROOT / "models/demo-en", [ROOT / "models/demo-en/samples/meeting_rms.wav"]
    maker = arguments.build / "tools/make_synthetic_checkpoint"
    for name in ("tiny_q", "qwen3-asr-0.6b") if arguments.full else ("tiny_q",):
        original = directory / name
        tokenizer = ROOT / "tests/data/formats" if name == "tiny_q" else arguments.build / "qwen3-tokenizer"
        check(maker, "--config", name, "--out", original, "--tokenizer", tokenizer)
        yield name, original, []


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", help="forms whose name contains this")
    arguments = parser.parse_args()
    print("| model | form | MB | tokens equal | logits error of the form (f32) | with automatic weights | load ms | peak MB |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(temporary)
        for model, original, recording in subjects(arguments, directory):
            compare = arguments.build / "tests/model/qasr_compare_forms"
            print(row("official bf16", model, original, json.loads(check(compare, original, original, *recording))), flush=True)
            for name, kind, options in FORMS:
                if arguments.only and arguments.only not in name:
                    continue
                folder = directory / "form"
                folder.mkdir()
                form = write_form(arguments, original, kind, options, folder)
                print(row(name, model, form, json.loads(check(compare, original, form, *recording))), flush=True)
                shutil.rmtree(folder)


if __name__ == "__main__":
    main()
