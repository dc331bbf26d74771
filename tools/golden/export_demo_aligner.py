"""Writes tests/golden/demo_aligner: what the reference makes of held-out recordings with the demonstration's forced aligner.

    python3 tools/golden/export_demo_aligner.py --model models/demo-aligner-en --held tests/data/heldout --out tests/golden/demo_aligner

Weights of 8 bits are widened first (scale * q + bias), so both sides hold the same numbers. Every recording is run alone;
one left-padded batch of all has to agree.
"""

import argparse
import hashlib
import json
from pathlib import Path

import _path  # noqa: F401
import numpy as np
import soundfile
import torch
from qasr_tools import aligner, checkpoint, features, golden_file
from qasr_tools.prompt import PromptTokenizer
from safetensors import safe_open

EVERY = 8  # of the recordings in word_times.json
TOP = 4
AGREEMENT = 2e-5


def widened(model_dir: Path) -> dict[str, torch.Tensor]:
    """All tensors as f32 under official names; MLX's convolutions are stored [out, height, width, in]."""
    stored = {}
    for shard in sorted(model_dir.glob("*.safetensors")):
        with safe_open(shard, framework="pt") as file:
            stored |= {name: file.get_tensor(name) for name in file.keys()}
    tensors = {}
    for name, value in stored.items():
        module, _, kind = name.rpartition(".")
        if kind in ("scales", "biases"):
            continue
        if kind == "weight" and f"{module}.scales" in stored:
            value = dequantised(value, stored[f"{module}.scales"], stored[f"{module}.biases"])
        elif value.dim() == 4 and value.shape[1] == value.shape[2] == 3:
            value = value.permute(0, 3, 1, 2)
        tensors[name if name.startswith("thinker.") else "thinker." + name] = value.float()
    return tensors


def dequantised(words: torch.Tensor, scales: torch.Tensor, biases: torch.Tensor) -> torch.Tensor:
    """8 bits in uint32 words, the first in the lowest byte."""
    quants = torch.from_numpy(words.numpy().view(np.uint8).astype(np.float32))
    grouped = quants.view(*scales.shape, -1)
    return (grouped * scales.float()[..., None] + biases.float()[..., None]).flatten(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--held", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    golden_file.exact_f32()
    config = checkpoint.read_config(args.model)
    model, tokenizer = checkpoint.build_model(config, widened(args.model).items()), PromptTokenizer(args.model)
    true_times = json.loads((args.held / "word_times.json").read_text())
    files = list(true_times)[::EVERY]
    mels = [features.log_mel(features.pad_short(soundfile.read(args.held / file, dtype="float32")[0])) for file in files]
    words = [[word for word, _, _ in true_times[file]] for file in files]
    ids = [aligner.input_ids(config, aligner.n_audio_tokens(mel.shape[1]), [tokenizer.encode(word) for word in spoken])
           for mel, spoken in zip(mels, words)]
    logits, agreement = aligner.single_and_batched(config, model, mels, ids)
    if agreement > AGREEMENT:
        raise RuntimeError(f"batch and single recordings differ by {agreement:.1e}")
    arrays, cases = {}, []
    for index, (file, spoken, values) in enumerate(zip(files, words, logits)):
        classes, gaps = aligner.classes_and_gaps(values)
        top = torch.topk(values, TOP)
        true = np.array([[start, end] for _, start, end in true_times[file]], float)
        shift = float(np.nanmean(np.abs(classes.view(-1, 2).numpy() * 0.08 - true))) * 1000
        arrays |= {f"{index}.top_classes": top.indices, f"{index}.top_logits": top.values,
                   f"{index}.log_sum_exp": torch.logsumexp(values, 1)}
        cases.append({"file": file, "words": spoken, "ids": ids[index], "classes": classes.tolist(),
                      "min_gap": float(gaps.min()), "shift_ms": round(shift, 1)})
        print(f"{file}: {len(spoken)} words, shift {shift:.1f} ms, smallest gap {gaps.min():.3f}", flush=True)
    sha256 = golden_file.save_arrays(args.out / "demo_aligner.safetensors", arrays)
    weights = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(args.model.glob("*.safetensors"))}
    golden_file.save_json(args.out / "golden.json", {
        "origin": golden_file.origin(f"tools/golden/export_demo_aligner.py --model {args.model} --held {args.held} --out {args.out}") | {
            "reference": "transformers Qwen3ASRForTokenClassification, float32, windowed encoder attention"},
        "weights_sha256": weights, "file": "demo_aligner.safetensors", "sha256": sha256, "batch_agreement": agreement,
        "cases": cases})


if __name__ == "__main__":
    main()
