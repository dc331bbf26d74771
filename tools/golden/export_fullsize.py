"""Writes tests/golden/fullsize: slices of a synthetic checkpoint of a real model's size, run in f32.

    python3 tools/golden/export_fullsize.py --config qwen3-asr-0.6b --device cuda --out tests/golden/fullsize

Needs no network and no weights; torch, transformers, numpy and safetensors only. f32 takes 3.2 GB (0.6B) or 8.2 GB
(1.7B) of memory.
"""

import argparse
import time
from pathlib import Path

import _path  # noqa: F401
import torch
from qasr_tools import activations, checkpoint, features, golden_file, reference
from qasr_tools.configs import conv_out_length, official_config

SEEDS = {"qwen3-asr-0.6b": 3, "qwen3-asr-1.7b": 3, "qwen3-asr-0.6b-spiky": 1}
N_SAMPLES = 144640  # 9.04 s: 904 frames, two attention windows, a tail chunk of 4 frames
N_STEPS = 32
N_ROWS = 16
TOP = 50
FIXED_STRIDE = 2371  # 64 fixed logits: ids 0, 2371, 4742, ...
PREFIX = [151644, 8948, 198, 151645, 198, 151644, 872, 198, 151669]  # empty context
SUFFIX = [151670, 151645, 198, 151644, 77091, 198]


def logit_arrays(prefix: str, logits: torch.Tensor) -> dict:
    values, ids = torch.topk(logits, TOP)
    fixed = torch.arange(64) * FIXED_STRIDE
    return {f"{prefix}.top_ids": ids, f"{prefix}.top_values": values, f"{prefix}.fixed_ids": fixed,
            f"{prefix}.fixed_values": logits[fixed]}


def export(name: str, device: str, out: Path) -> dict:
    started = time.monotonic()
    config, model = checkpoint.synthetic_model(name, SEEDS[name], device)
    mel = features.log_mel(features.test_signal(N_SAMPLES))
    with activations.largest(model) as largest:
        audio = reference.encoder_stages(model, mel)["output"]
        ids = PREFIX + [config["thinker_config"]["audio_token_id"]] * audio.shape[0] + SUFFIX
        result = reference.greedy(model, ids, audio, N_STEPS)
    bounds = reference.window_boundaries(mel.shape[1], model.config.audio_config).tolist()
    rows = golden_file.chosen_rows(bounds[-1], golden_file.window_edges(bounds, conv_out_length(100)), N_ROWS)
    arrays = {"encoder.rows": rows, "encoder.output": audio[rows], "prompt_ids": ids,
              "generated_ids": result["ids"], "gaps": result["gaps"]}
    arrays |= logit_arrays("prefill", result["prompt_logits"][-1]) | logit_arrays("last", result["last_logits"])
    sha256 = golden_file.save_arrays(out / f"{name}.safetensors", arrays)
    print(f"{name}: {mel.shape[1]} frames, {audio.shape[0]} audio tokens, min gap {min(result['gaps']):.4f}, "
          f"{len(set(result['ids']))} different ids of {N_STEPS}: {result['ids']}; largest encoder value "
          f"{audio.abs().max():.2f}, largest logit {result['last_logits'].max():.2f}; {largest}; "
          f"{time.monotonic() - started:.0f} s")
    return {"seed": SEEDS[name], "n_samples": N_SAMPLES, "file": f"{name}.safetensors", "sha256": sha256,
            "min_gap": min(result["gaps"]), "largest_activations": largest, "config": official_config(name),
            "origin": golden_file.origin(f"tools/golden/export_fullsize.py --config {name} --device {device}"
                                         " --out tests/golden/fullsize", device)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, choices=SEEDS)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    golden_file.exact_f32()
    golden_file.save_json(args.out / f"{args.config}.json", export(args.config, args.device, args.out))


if __name__ == "__main__":
    main()
