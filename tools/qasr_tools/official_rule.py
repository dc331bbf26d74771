"""The audio encoder written out with plain torch functions, independent of transformers' classes.

It convolves a recording shorter than one chunk at its own length, as QwenLM/Qwen3-ASR does; transformers pads it to a
whole chunk. Longer recordings agree, which `export_model.py` checks before it writes anything.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F

from .configs import conv_out_length


def _positions(length: int, width: int) -> torch.Tensor:
    half = width // 2
    timescales = torch.exp(torch.arange(half, dtype=torch.float64) * (-math.log(10000.0) / (half - 1)))
    angles = torch.arange(length, dtype=torch.float64)[:, None] * timescales[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1).to(torch.float32)


def _stem(weights: dict, mel: torch.Tensor, chunk_frames: int) -> torch.Tensor:
    """[n_mels, n_frames] -> [n_tokens, d_model]."""
    n_frames = mel.shape[1]
    width = min(chunk_frames, n_frames)
    n_chunks = -(-n_frames // width)
    mel = F.pad(mel, (0, n_chunks * width - n_frames))
    x = mel.view(mel.shape[0], n_chunks, width).transpose(0, 1).unsqueeze(1)
    for conv in ("conv2d1", "conv2d2", "conv2d3"):
        x = F.gelu(F.conv2d(x, weights[conv + ".weight"], weights[conv + ".bias"], stride=2, padding=1))
    x = x.permute(0, 3, 1, 2).flatten(2) @ weights["conv_out.weight"].T
    x = x + _positions(x.shape[1], x.shape[2])
    last = conv_out_length(n_frames - (n_chunks - 1) * width)
    return torch.cat([*x[:-1], x[-1, :last]])


def _attention(weights: dict, layer: str, x: torch.Tensor, n_heads: int, window: int) -> torch.Tensor:
    def project(name, rows):
        return F.linear(rows, weights[f"{layer}self_attn.{name}.weight"], weights[f"{layer}self_attn.{name}.bias"])

    blocks = []
    for begin in range(0, x.shape[0], window):
        rows = x[begin:begin + window]
        q, k, v = (project(name, rows).unflatten(1, (n_heads, -1)).transpose(0, 1)
                   for name in ("q_proj", "k_proj", "v_proj"))
        scores = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(q.shape[2]), dim=-1)
        blocks.append((scores @ v).transpose(0, 1).flatten(1))
    return project("out_proj", torch.cat(blocks))


@torch.no_grad()
def encoder_stages(tensors: dict[str, torch.Tensor], audio_config: dict, mel: np.ndarray) -> dict[str, torch.Tensor]:
    """The stages of reference.encoder_stages; `tensors` under official names."""
    prefix = "thinker.audio_tower."
    weights = {name[len(prefix):]: value for name, value in tensors.items() if name.startswith(prefix)}
    width, chunk_frames = audio_config["d_model"], 2 * audio_config["n_window"]

    def norm(name, x):
        return F.layer_norm(x, (width,), weights[name + ".weight"], weights[name + ".bias"], eps=1e-5)

    def linear(name, x):
        return F.linear(x, weights[name + ".weight"], weights[name + ".bias"])

    x = _stem(weights, torch.from_numpy(mel), chunk_frames)
    stages = {"stem": x}
    longest_chunk = conv_out_length(min(chunk_frames, mel.shape[1]))
    window = longest_chunk * (audio_config["n_window_infer"] // chunk_frames)
    for index in range(audio_config["encoder_layers"]):
        layer = f"layers.{index}."
        x = x + _attention(weights, layer, norm(layer + "self_attn_layer_norm", x),
                           audio_config["encoder_attention_heads"], window)
        x = x + linear(layer + "fc2", F.gelu(linear(layer + "fc1", norm(layer + "final_layer_norm", x))))
        stages.setdefault("first_layer", x)
    stages["last_layer"] = x
    stages["ln_post"] = norm("ln_post", x)
    stages["output"] = linear("proj2", F.gelu(linear("proj1", stages["ln_post"])))
    return stages
