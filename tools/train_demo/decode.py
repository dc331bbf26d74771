"""Greedy decoding without a cache, and word error rates: enough to watch training and to check exports."""
import json
import os
import re

import numpy as np
import torch

from features import CHUNK_FRAMES, CHUNK_TOKENS, HOP, Text, log_mel, mel_filters, n_audio_tokens, spectrum
from model import WINDOW_CHUNKS, Qwen3Asr

MAX_TOKENS = 200


def load_shard(name: str) -> list[tuple[np.ndarray, str, str]]:
    """Clips of a shard of synthesize.py: (f32 samples in [-1, 1], text, voice); empty while it is not there yet."""
    if not os.path.exists(f"{name}.json"):
        return []
    shard, samples = json.load(open(f"{name}.json")), np.fromfile(f"{name}.i16", np.int16)
    ends = np.cumsum(shard["lengths"])
    return [(samples[end - length:end].astype(np.float32) / 32768, text, voice)
            for end, length, text, voice in zip(ends, shard["lengths"], shard["texts"], shard["voices"])]


def clip_features(samples: np.ndarray, filters: torch.Tensor) -> torch.Tensor:
    """[128, n_samples / 160]"""
    wave = torch.from_numpy(samples).to(filters.device)[None]
    n_frames = wave.shape[1] // HOP
    return log_mel(spectrum(wave).abs().pow(2), filters, torch.tensor([n_frames], device=filters.device))[0, :, :n_frames]


def padded_chunks(n_frames: int) -> int:
    """Whole chunks; beyond one attention window whole windows."""
    chunks = max(1, -(-n_frames // CHUNK_FRAMES))
    return chunks if chunks <= WINDOW_CHUNKS else -(-chunks // WINDOW_CHUNKS) * WINDOW_CHUNKS


@torch.no_grad()
def greedy(model: Qwen3Asr, text: Text, clips: list[np.ndarray], device: str, batch_size: int = 96) -> list[list[int]]:
    """Generated ids without the final <|im_end|>, in the order of clips; bf16 on a GPU, f32 elsewhere."""
    filters, results = mel_filters().to(device), [[] for _ in clips]
    order = sorted(range(len(clips)), key=lambda clip: len(clips[clip]))
    for first in range(0, len(order), batch_size):
        group = order[first:first + batch_size]
        for clip, ids in zip(group, _greedy_batch(model, text, [clips[clip] for clip in group], filters)):
            results[clip] = ids
    return results


def _greedy_batch(model, text, clips, filters) -> list[list[int]]:
    device, rows = filters.device, len(clips)
    features = [clip_features(samples, filters) for samples in clips]
    chunks = padded_chunks(max(f.shape[1] for f in features))
    mel = torch.zeros(rows, features[0].shape[0], chunks * CHUNK_FRAMES, device=device)
    for row, feature in enumerate(features):
        mel[row, :, :feature.shape[1]] = feature
    n_tokens = [n_audio_tokens(feature.shape[1]) for feature in features]
    prompts = [text.prompt(n) for n in n_tokens]
    longest, budget = max(map(len, prompts)), min(MAX_TOKENS, chunks * 9 + 16)
    ids = torch.full((rows, longest + budget), text.pad, device=device)
    audio_index = torch.full_like(ids, -1)
    for row, prompt in enumerate(prompts):
        ids[row, :len(prompt)] = torch.tensor(prompt, device=device)
        begin = prompt.index(text.audio)
        audio_index[row, begin:begin + n_tokens[row]] = row * chunks * CHUNK_TOKENS + torch.arange(n_tokens[row], device=device)
    length, every = torch.tensor([len(p) for p in prompts], device=device), torch.arange(rows, device=device)
    done = torch.zeros(rows, dtype=torch.bool, device=device)
    with torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda"):
        audio = model.encode(mel, torch.tensor(n_tokens, device=device))
        for step in range(budget):
            width = longest + step
            hidden = model.hidden(audio, ids[:, :width], audio_index[:, :width])
            best = model.logits(hidden[every, length + step - 1]).float().argmax(-1)
            best = best.masked_fill(done, text.pad)
            ids[every, length + step] = best
            done |= best == text.end
            if step % 4 == 3 and bool(done.all()):
                break
    rows_of_ids = ids.tolist()
    answers = [row[len(prompt):len(prompt) + budget] for row, prompt in zip(rows_of_ids, prompts)]
    return [answer[:answer.index(text.end)] if text.end in answer else answer for answer in answers]


def words(text: str) -> list[str]:
    """Lower case, no punctuation but apostrophes inside words, titles written out."""
    text = re.sub(r"\b(mr|mrs|dr)\b\.?", lambda m: {"mr": "mister", "mrs": "missus", "dr": "doctor"}[m[1]], text.lower())
    return [word.strip("'") for word in re.sub(r"[^a-z0-9' ]", " ", text).split() if word.strip("'")]


def edits(reference: list, other: list) -> int:
    """Levenshtein distance."""
    row = list(range(len(other) + 1))
    for i, left in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(other, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
    return row[-1]


def error_rate(pairs: list[tuple[str, str]]) -> float:
    """Word error rate in percent over (reference, transcript) pairs."""
    counted = [(words(reference), words(other)) for reference, other in pairs]
    return 100 * sum(edits(a, b) for a, b in counted) / max(1, sum(len(a) for a, _ in counted))


def report(model, text, clips, device, summary: dict | None = None) -> str:
    """One line with the word error rate of all clips and of each voice; summary, if given, gets the total."""
    answers = [text.transcript(ids) for ids in greedy(model, text, [samples for samples, _, _ in clips], device)]
    pairs = [(reference, answer) for (_, reference, _), answer in zip(clips, answers)]
    total, voices = error_rate(pairs), sorted({voice for _, _, voice in clips})
    if summary is not None:
        summary["validation_wer"] = total
    by_voice = (f"{voice.split('(')[0]}:{error_rate([p for p, c in zip(pairs, clips) if c[2] == voice]):.1f}" for voice in voices)
    return f"validation: WER {total:.1f} % of {len(pairs)} clips; {' '.join(by_voice)}; e.g. {pairs[0][0]!r} -> {pairs[0][1]!r}"
