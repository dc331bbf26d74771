"""Q4_K, Q5_K and Q6_K blocks from f32: a plain encoder, for tests. Layout: ggml-common.h; the search for better scales
that llama.cpp does is left out, so files are larger in error than published ones, and valid."""

import numpy as np


def quantize(kind: str, values: np.ndarray) -> np.ndarray:
    rows = values.astype(np.float32).reshape(values.shape[0], -1, 256)
    blocks = _q6(rows) if kind == "Q6_K" else _q45(rows, 4 if kind == "Q4_K" else 5)
    return blocks.reshape(values.shape[0], -1)


def _f16(x):
    return x.astype(np.float16)


def _q45(rows, bits):
    sub = rows.reshape(*rows.shape[:2], 8, 32)
    top = (1 << bits) - 1
    low = np.minimum(sub.min(-1), 0)
    step, minimum = (sub.max(-1) - low) / top, -low
    d, e = _f16(step.max(-1) / 63), _f16(minimum.max(-1) / 63)
    safe = lambda x: np.where(x == 0, 1, x.astype(np.float32))
    scales = np.clip(np.rint(step / safe(d)[..., None]), 0, 63).astype(np.uint8)
    minima = np.clip(np.rint(minimum / safe(e)[..., None]), 0, 63).astype(np.uint8)
    s = d.astype(np.float32)[..., None] * scales
    m = e.astype(np.float32)[..., None] * minima
    q = np.clip(np.rint((sub + m[..., None]) / np.where(s == 0, 1, s)[..., None]), 0, top).astype(np.uint8)
    packed = np.zeros((*rows.shape[:2], 12), np.uint8)
    packed[..., 0:4] = scales[..., :4] | (scales[..., 4:] >> 4) << 6
    packed[..., 4:8] = minima[..., :4] | (minima[..., 4:] >> 4) << 6
    packed[..., 8:12] = (scales[..., 4:] & 15) | (minima[..., 4:] & 15) << 4
    halves = (q[..., 0::2, :] & 15) | (q[..., 1::2, :] & 15) << 4
    parts = [d[..., None].view(np.uint8), e[..., None].view(np.uint8), packed]
    if bits == 5:
        fifth = ((q >> 4) << np.arange(8, dtype=np.uint8)[:, None]).sum(-2).astype(np.uint8)
        parts.append(fifth)
    return np.concatenate([*parts, halves.reshape(*rows.shape[:2], 128)], -1)


def _q6(rows):
    sub = rows.reshape(*rows.shape[:2], 16, 16)
    step = np.abs(sub).max(-1) / 31
    d = _f16(step.max(-1) / 127)
    scales = np.clip(np.rint(step / np.where(d == 0, 1, d.astype(np.float32))[..., None]), 0, 127).astype(np.int8)
    s = d.astype(np.float32)[..., None] * scales
    q = np.clip(np.rint(sub / np.where(s == 0, 1, s)[..., None]), -32, 31).astype(np.int16) + 32
    q = q.astype(np.uint8).reshape(*rows.shape[:2], 2, 4, 32)
    low = np.stack([(q[..., 0, :] & 15) | (q[..., 2, :] & 15) << 4, (q[..., 1, :] & 15) | (q[..., 3, :] & 15) << 4], -2)
    high = (q[..., 0, :] >> 4) | (q[..., 1, :] >> 4) << 2 | (q[..., 2, :] >> 4) << 4 | (q[..., 3, :] >> 4) << 6
    n = rows.shape[:2]
    return np.concatenate([low.reshape(*n, 128), high.reshape(*n, 64), scales.view(np.uint8), d[..., None].view(np.uint8)], -1)
