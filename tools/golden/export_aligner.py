"""Writes tests/golden/aligner: logits and classes of forced aligners with synthetic weights.

    python3 tools/golden/export_aligner.py --config tiny --out tests/golden/aligner
    python3 tools/golden/export_aligner.py --config qwen3-forced-aligner-0.6b --out tests/golden/aligner

Tiny models read the synthetic log-mel, the full-size one (f32: 4 GB of memory) the log-mel of the test signal. Every item
is run alone; the same items as one left-padded batch have to agree.
"""

import argparse
import time
from pathlib import Path

import _path  # noqa: F401
import numpy as np
import torch
from qasr_tools import aligner, checkpoint, features, golden_file, synthetic
from qasr_tools.configs import TINY_ALIGNERS, official_config

FULL = "qwen3-forced-aligner-0.6b"
# Chosen among 1..40: the most varied classes with comfortable margins between the best two (--find-seeds).
SEEDS = {"tiny_aligner_a": 38, "tiny_aligner_b": 7, "tiny_aligner_c-spiky": 3, FULL: 1}
TINY_ITEMS = ((100, 1), (257, 5), (801, 17), (1650, 9))  # (frames, words)
FULL_ITEMS = ((904, 24), (2100, 61))
TOP, FIXED_STRIDE = 8, 131  # of 5,000 classes: the best 8, and 0, 131, 262, ... (39 of them)
MIN_GAP = 2e-3  # closer choices could go either way in another order of summation
BATCH_AGREEMENT = 2e-5


def word_ids(name: str, label: str, n_words: int) -> list[list[int]]:
    """One to three ids below 1500 for every word."""
    n_tokens = 1 + (synthetic.hash_numpy(f"qasr.test.{label}.{name}.lengths", 0, 0, n_words) % np.uint32(3)).astype(int)
    ids = (synthetic.hash_numpy(f"qasr.test.{label}.{name}.words", 0, 0, int(n_tokens.sum())) % np.uint32(1500)).astype(int)
    return [part.tolist() for part in np.split(ids, np.cumsum(n_tokens)[:-1])]


def items(name: str, config: dict) -> tuple[list[np.ndarray], list[list[int]]]:
    """(log-mels, input ids)"""
    if name == FULL:
        mels = [features.log_mel(features.test_signal(160 * n_frames)) for n_frames, _ in FULL_ITEMS]
    else:
        n_mels = config["thinker_config"]["audio_config"]["num_mel_bins"]
        mels = [synthetic.log_mel(n_mels, n_frames) for n_frames, _ in TINY_ITEMS]
    counts = [n_words for _, n_words in (FULL_ITEMS if name == FULL else TINY_ITEMS)]
    ids = [aligner.input_ids(config, aligner.n_audio_tokens(mel.shape[1]), word_ids(name, f"item{index}", n_words))
           for index, (mel, n_words) in enumerate(zip(mels, counts))]
    return mels, ids


def export(name: str, seed: int, device: str, out: Path, command: str) -> dict:
    started = time.monotonic()
    config, model = checkpoint.synthetic_model(name, seed, device)
    mels, ids = items(name, config)
    logits, agreement = aligner.single_and_batched(config, model, mels, ids)
    if agreement > BATCH_AGREEMENT:
        raise RuntimeError(f"{name}: batch and single items differ by {agreement:.1e}")
    arrays, gaps = {}, []
    for index, (sequence, values) in enumerate(zip(ids, logits)):
        classes, gap = aligner.classes_and_gaps(values)
        gaps.append(float(gap.min()))
        arrays |= {f"item{index}.ids": sequence, f"item{index}.classes": classes, f"item{index}.gaps": gap}
        if name != FULL:
            arrays[f"item{index}.logits"] = values
            continue
        top, fixed = torch.topk(values, TOP), torch.arange(0, values.shape[1], FIXED_STRIDE)
        arrays |= {f"item{index}.top_classes": top.indices, f"item{index}.top_values": top.values,
                   f"item{index}.fixed_classes": fixed, f"item{index}.fixed_values": values[:, fixed],
                   f"item{index}.norms": values.norm(dim=1)}
    sha256 = golden_file.save_arrays(out / f"{name}.safetensors", arrays)
    print(f"{name}: seed {seed}, batch agrees to {agreement:.1e}, smallest gap {min(gaps):.4f}, different classes "
          f"{[len(set(aligner.classes_and_gaps(values)[0].tolist())) for values in logits]} of "
          f"{[len(values) for values in logits]}; {time.monotonic() - started:.0f} s", flush=True)
    return {"config_name": name, "seed": seed, "file": f"{name}.safetensors", "sha256": sha256,
            "n_frames": [mel.shape[1] for mel in mels], "input": "test_signal" if name == FULL else "synthetic_log_mel",
            "min_gap": min(gaps), "batch_agreement": agreement, "config": config,
            "origin": golden_file.origin(command, device) | {
                "reference": "transformers Qwen3ASRForTokenClassification, float32, windowed encoder attention"}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, choices=("tiny", FULL))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--find-seeds", action="store_true", help="print the best of seeds 1 to 40, write nothing")
    args = parser.parse_args()
    golden_file.exact_f32()
    names = TINY_ALIGNERS if args.config == "tiny" else (FULL,)
    if args.find_seeds:
        return find_seeds(names, args.device)
    command = f"tools/golden/export_aligner.py --config {args.config} --device {args.device} --out tests/golden/aligner"
    for name in names:
        golden_file.save_json(args.out / f"{name}.json", export(name, SEEDS[name], args.device, args.out, command))


def find_seeds(names, device: str) -> None:
    for name in names:
        found = []
        for seed in range(1, 41):
            config, model = checkpoint.synthetic_model(name, seed, device)
            mels, ids = items(name, config)
            logits, _ = aligner.single_and_batched(config, model, mels, ids)
            classes = [aligner.classes_and_gaps(values) for values in logits]
            gap, variety = min(float(gap.min()) for _, gap in classes), [len(set(best.tolist())) for best, _ in classes]
            found += [(sum(variety), seed, gap, variety)] if gap > MIN_GAP else []
        print(name, sorted(found, reverse=True)[:4], flush=True)


if __name__ == "__main__":
    main()
