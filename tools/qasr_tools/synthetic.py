"""Synthetic checkpoints: every tensor is a function of its official name, element index and a seed.

The rule is docs/synthetic-checkpoints.md; src/weights/synthetic.cc is the same rule in C++. `uniform` is the
definition in numpy; `tensor` computes it with torch on any device, which is what large models use.
"""

import math

import numpy as np
import torch

NORM_SUFFIXES = ("layer_norm.weight", "layernorm.weight", "ln_post.weight", "q_norm.weight", "k_norm.weight",
                 "model.norm.weight")
EMBEDDING = "model.embed_tokens.weight"
QK_NORM_FACTOR = 1.5  # attention sharp enough to matter: with 1, greedy output is one token repeated
BLOCK = 1 << 24  # elements computed at a time, to bound memory


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


def scale(name: str, shape) -> float:
    """The f32 factor of u, for everything but norm weights."""
    if name.endswith(".bias"):
        return float(np.float32(0.1))
    if name.endswith(EMBEDDING):
        return float(np.float32(0.07))
    if len(shape) == 4:
        return float(np.float32(math.sqrt(3.0 / (shape[1] * shape[2] * shape[3])) * 1.5))
    if len(shape) == 2:
        return float(np.float32(math.sqrt(3.0 / shape[1])))
    raise ValueError(f"synthetic rule: no rule for tensor {name} of shape {list(shape)}")


def tensor(name: str, shape, seed: int, device="cpu") -> torch.Tensor:
    """A whole tensor: f32 values rounded to bf16 (nearest even) and widened again."""
    out = torch.empty(math.prod(shape), dtype=torch.float32, device=device)
    is_norm = name.endswith(NORM_SUFFIXES)
    factor = None if is_norm else scale(name, shape)
    for begin in range(0, out.numel(), BLOCK):
        end = min(begin + BLOCK, out.numel())
        x = hash_torch(name, seed, begin, end, device)
        # 24 bits convert exactly, a power of two scales exactly, and the subtraction of 1 is exact as well.
        u = (x >> 8).bitwise_and_(0xFFFFFF).to(torch.float32).mul_(2.0**-23).sub_(1.0)
        if is_norm:
            u.mul_(0.125).add_(1.0)
            if name.endswith(("q_norm.weight", "k_norm.weight")):
                u.mul_(QK_NORM_FACTOR)
            else:
                u[x.bitwise_and_(63) == 0] *= 4.0
        else:
            u.mul_(factor)
        out[begin:end] = u.to(torch.bfloat16).to(torch.float32)
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
