"""Synthetic checkpoints: every tensor is a function of its official name, element index and a seed.

The rule is docs/synthetic-checkpoints.md; src/weights/synthetic.cc is the same rule in C++. `uniform` is the
definition in numpy; `tensor` computes it with torch on any device, which is what large models use.
"""

import math

import numpy as np
import torch

NORM_SUFFIXES = ("layer_norm.weight", "layernorm.weight", "ln_post.weight", "q_norm.weight", "k_norm.weight",
                 "model.norm.weight")
HEAD_NORMS = ("q_norm.weight", "k_norm.weight")
EMBEDDING = "model.embed_tokens.weight"
QK_NORM_FACTOR = 1.5  # attention sharp enough to matter: with 1, greedy output is one token repeated
BLOCK = 1 << 24  # elements computed at a time, to bound memory

# The spiky rule: hidden channels c with c % 160 == 37 and inner channels with c % 640 == 37 are the large ones.
SPIKE_OFFSET, HIDDEN_SPACING, INNER_SPACING = 37, 160, 640
ATTENTION_WRITERS = ("o_proj.weight", "out_proj.weight", "out_proj.bias")  # what adds to the residual stream
MLP_WRITERS = ("down_proj.weight", "fc2.weight", "fc2.bias")
FIRST_NORMS = ("audio_tower.layers.0.self_attn_layer_norm.weight", "thinker.model.layers.0.input_layernorm.weight")


def fnv1a32(name: str) -> int:
    state = 2166136261
    for byte in name.encode("utf-8"):
        state = (state ^ byte) * 16777619 & 0xFFFFFFFF
    return state


def name_hash(name: str, seed: int) -> int:
    return fnv1a32(name) ^ (seed * 0x9E3779B9 & 0xFFFFFFFF)


def hash_numpy(name: str, seed: int, begin: int, end: int) -> np.ndarray:
    """The 32-bit hash x of elements [begin, end)."""
    x = np.arange(begin, end, dtype=np.uint64).astype(np.uint32) * np.uint32(0x9E3779B1)
    x += np.uint32(name_hash(name, seed))
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    return x


def uniform(name: str, seed: int, begin: int, end: int) -> np.ndarray:
    """u in [-1, 1), exact in f32."""
    return ((hash_numpy(name, seed, begin, end) >> np.uint32(8)).astype(np.float64) / 2.0**23 - 1.0).astype(np.float32)


def _signed(value: int) -> int:
    return value - (1 << 32) if value >= 1 << 31 else value


def hash_torch(name: str, seed: int, begin: int, end: int, device) -> torch.Tensor:
    """The same hash as int32 bit patterns; products wrap, shifts are made logical by masking."""
    x = torch.arange(begin, end, dtype=torch.int64, device=device).to(torch.int32)
    x.mul_(_signed(0x9E3779B1)).add_(_signed(name_hash(name, seed)))
    x.bitwise_xor_((x >> 16).bitwise_and_(0xFFFF)).mul_(_signed(0x7FEB352D))
    x.bitwise_xor_((x >> 15).bitwise_and_(0x1FFFF)).mul_(_signed(0x846CA68B))
    return x.bitwise_xor_((x >> 16).bitwise_and_(0xFFFF))


def spiky_factors(name: str) -> tuple[float, float, int]:
    """(factor of most rows, factor of the large ones, their spacing); rows are outputs, or a vector's elements."""
    if name.endswith(ATTENTION_WRITERS):
        return 1.0, 200.0, HIDDEN_SPACING
    if name.endswith(MLP_WRITERS):
        return (16.0, 3200.0, HIDDEN_SPACING) if ".layers.0." in name else (2.0, 400.0, HIDDEN_SPACING)
    if name.endswith(("gate_proj.weight", "up_proj.weight")):
        return 1.0, 4.0, INNER_SPACING
    if name.endswith("fc1.weight"):
        return 1.0, 16.0, INNER_SPACING
    if name.endswith(NORM_SUFFIXES) and not name.endswith(HEAD_NORMS + FIRST_NORMS):
        return 16.0, 1.0, HIDDEN_SPACING
    return 1.0, 1.0, 1


def scale(name: str, shape, factor: float = 1.0) -> float:
    """The f32 number that multiplies u or, for norm weights, 1 + u / 8."""
    if name.endswith(HEAD_NORMS):
        value = QK_NORM_FACTOR
    elif name.endswith(NORM_SUFFIXES):
        value = 1.0
    elif name.endswith(".bias"):
        value = 0.1
    elif name.endswith(EMBEDDING):
        value = 0.07
    elif len(shape) == 4:
        value = math.sqrt(3.0 / (shape[1] * shape[2] * shape[3])) * 1.5
    elif len(shape) == 2:
        value = math.sqrt(3.0 / shape[1])
    else:
        raise ValueError(f"synthetic rule: no rule for tensor {name} of shape {list(shape)}")
    return float(np.float32(value * factor))


def row_scales(name: str, shape, spiky: bool, device="cpu") -> torch.Tensor:
    """[rows, 1] f32."""
    usual, large, spacing = spiky_factors(name) if spiky else (1.0, 1.0, 1)
    is_large = torch.arange(shape[0], device=device) % spacing == SPIKE_OFFSET
    scales = torch.where(is_large, scale(name, shape, large), scale(name, shape, usual))
    return scales.to(torch.float32).view(-1, 1)


def tensor(name: str, shape, seed: int, device="cpu", spiky: bool = False) -> torch.Tensor:
    """A whole tensor: f32 values rounded to bf16 (nearest even) and widened again."""
    scales, columns = row_scales(name, shape, spiky, device), math.prod(shape[1:])
    out = torch.empty(shape[0], columns, dtype=torch.float32, device=device)
    for first in range(0, shape[0], max(1, BLOCK // columns)):
        rows = slice(first, min(first + max(1, BLOCK // columns), shape[0]))
        x = hash_torch(name, seed, rows.start * columns, rows.stop * columns, device).view(-1, columns)
        # 24 bits convert exactly, a power of two scales exactly, and the subtraction of 1 is exact as well.
        u = (x >> 8).bitwise_and_(0xFFFFFF).to(torch.float32).mul_(2.0**-23).sub_(1.0)
        if name.endswith(NORM_SUFFIXES):
            u.mul_(0.125).add_(1.0)
            if not name.endswith(HEAD_NORMS):
                u[x.bitwise_and_(63) == 0] *= 4.0
        out[rows] = u.mul_(scales[rows]).to(torch.bfloat16).to(torch.float32)
    return out.view(tuple(shape))


def miniature_tensor(name: str, shape, seed: int = 0, device="cpu") -> torch.Tensor:
    """The miniature model's own rule: a linear congruential generator started by the hash of the name."""
    del seed
    state, values = fnv1a32(name), np.empty(math.prod(shape), dtype=np.float64)
    for index in range(values.size):
        state = (1664525 * state + 1013904223) & 0xFFFFFFFF
        values[index] = (state >> 8) / 2.0**23 - 1.0
    if name.endswith(NORM_SUFFIXES):
        values = 1.0 + values / 8.0
    elif ".conv2d" in name and name.endswith(".weight"):
        values /= 4.0
    else:
        values /= 8.0
    return torch.from_numpy(values.astype(np.float32)).view(tuple(shape)).to(device)


def log_mel(n_mels: int, n_frames: int) -> np.ndarray:
    """Deterministic encoder input [n_mels, n_frames], about -0.5 to 1."""
    u = uniform("qasr.test.log_mel", n_frames, 0, n_mels * n_frames)
    return (u * np.float32(0.75) + np.float32(0.25)).reshape(n_mels, n_frames)
