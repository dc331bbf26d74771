"""Writes tests/golden/model_tiny: encoder stages, logits and greedy tokens of four tiny synthetic models.

    python3 tools/golden/export_model.py --out tests/golden/model_tiny
"""

import argparse
from pathlib import Path

import _path  # noqa: F401
import numpy as np
import torch
from qasr_tools import checkpoint, golden_file, official_rule, reference, synthetic
from qasr_tools.configs import TINY, conv_out_length, official_config

FRAMES = (1, 7, 8, 99, 100, 101, 799, 800, 801, 1650, 3000)
DECODER_FRAMES = 250
N_STEPS = 32
# Chosen among 1..24 for varied output and comfortable margins between the best two ids.
SEEDS = {"tiny_a": 6, "tiny_b": 21, "tiny_c": 3, "tiny_d": 4}
AGREEMENT = 2e-5  # between transformers and the written-out encoder, both f32


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found.double() - expected.double()).norm() / expected.double().norm())


def encoder_arrays(name: str, config: dict, model, tensors: dict) -> tuple[dict, float]:
    """Stages at every frame count. Recordings shorter than a chunk are there twice: `official` is the written-out
    encoder that convolves them at their own length, `transformers` pads them to a chunk."""
    audio, arrays, worst = config["thinker_config"]["audio_config"], {}, 0.0
    chunk_frames = 2 * audio["n_window"]
    for n_frames in FRAMES:
        mel = synthetic.log_mel(audio["num_mel_bins"], n_frames)
        stages = {"transformers": reference.encoder_stages(model, mel),
                  "official": official_rule.encoder_stages(tensors, audio, mel)}
        if n_frames >= chunk_frames:
            for stage, expected in stages["transformers"].items():
                worst = max(worst, relative_error(stages["official"][stage], expected))
            del stages["official"]
        bounds = reference.window_boundaries(n_frames, model.config.audio_config).tolist()
        rows = golden_file.chosen_rows(bounds[-1], golden_file.window_edges(bounds, conv_out_length(chunk_frames)))
        arrays[f"encoder.{n_frames}.rows"] = rows
        for rule, by_stage in stages.items():
            for stage, value in by_stage.items():
                arrays[f"encoder.{n_frames}.{rule}.{stage}"] = value[rows]
    if worst > AGREEMENT:
        raise RuntimeError(f"{name}: the written-out encoder differs from transformers by {worst:.2e}")
    return arrays, worst


def decoder_arrays(prefix: str, model, ids: list[int], audio) -> tuple[dict, float]:
    result = reference.greedy(model, ids, audio, N_STEPS)
    last = len(ids) - 1
    rows = sorted({0, 3, last // 2, last})
    arrays = {f"{prefix}.prompt_ids": ids, f"{prefix}.logit_rows": rows,
              f"{prefix}.prompt_logits": result["prompt_logits"][rows], f"{prefix}.generated_ids": result["ids"],
              f"{prefix}.gaps": result["gaps"], f"{prefix}.last_logits": result["last_logits"]}
    return arrays, min(result["gaps"])


def plain_ids(name: str, label: str, count: int) -> list[int]:
    """Ids below 1500, so that none is the audio placeholder or an end token."""
    return (synthetic.hash_numpy(f"qasr.test.{label}.{name}", 0, 0, count) % np.uint32(1500)).astype(int).tolist()


def export(name: str, out: Path) -> dict:
    config, model = checkpoint.synthetic_model(name, SEEDS[name])
    tensors = dict(checkpoint.synthetic_tensors(name, SEEDS[name]))
    audio_config = config["thinker_config"]["audio_config"]
    arrays, agreement = encoder_arrays(name, config, model, tensors)
    audio = reference.encoder_stages(model, synthetic.log_mel(audio_config["num_mel_bins"], DECODER_FRAMES))["output"]
    placeholder = config["thinker_config"]["audio_token_id"]
    ids = plain_ids(name, "prefix", 9) + [placeholder] * audio.shape[0] + plain_ids(name, "suffix", 6)
    with_audio, gap = decoder_arrays("decoder", model, ids, audio)
    text_only, text_gap = decoder_arrays("text_only", model, plain_ids(name, "text", 21), None)
    sha256 = golden_file.save_arrays(out / f"{name}.safetensors", arrays | with_audio | text_only)
    generated = with_audio["decoder.generated_ids"]
    print(f"{name}: encoder agreement {agreement:.1e}, gaps {gap:.4f} and {text_gap:.4f}, "
          f"{len(set(generated))} and {len(set(text_only['text_only.generated_ids']))} different ids of {N_STEPS}")
    return {"seed": SEEDS[name], "file": f"{name}.safetensors", "sha256": sha256, "min_gap": gap,
            "min_gap_text_only": text_gap, "agreement_of_two_encoders": agreement, "config": official_config(name)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    golden_file.exact_f32()
    models = {name: export(name, args.out) for name in TINY}
    golden_file.save_json(args.out / "golden.json", {
        "origin": golden_file.origin("tools/golden/export_model.py --out tests/golden/model_tiny"),
        "encoder_frames": list(FRAMES), "decoder_frames": DECODER_FRAMES, "models": models})


if __name__ == "__main__":
    main()
