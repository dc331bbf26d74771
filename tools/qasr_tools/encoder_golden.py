"""Encoder stages at the frame counts where rules change: chunk, window and tail edges."""

import torch

from . import golden_file, official_rule, reference, synthetic
from .configs import conv_out_length

FRAMES = (1, 7, 8, 99, 100, 101, 799, 800, 801, 1650, 3000)
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
