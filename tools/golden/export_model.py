"""Writes tests/golden/model_tiny: encoder stages, logits and greedy tokens of five tiny synthetic models.

    python3 tools/golden/export_model.py --out tests/golden/model_tiny
"""

import argparse
from pathlib import Path

import _path  # noqa: F401
import numpy as np
from qasr_tools import checkpoint, encoder_golden, golden_file, reference, synthetic
from qasr_tools.configs import TINY, official_config

DECODER_FRAMES = 250
N_STEPS = 32
# Chosen among 1..30 for varied output and comfortable margins between the best two ids.
SEEDS = {"tiny_a": 11, "tiny_b": 27, "tiny_c": 12, "tiny_d": 24, "tiny_e-spiky": 3}


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
    arrays, agreement = encoder_golden.encoder_arrays(name, config, model, tensors)
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
        "encoder_frames": list(encoder_golden.FRAMES), "decoder_frames": DECODER_FRAMES, "models": models})


if __name__ == "__main__":
    main()
