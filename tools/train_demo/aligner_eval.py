"""Times of known words with the training model, and how far they are from the true ones."""
import json
import os

import numpy as np
import torch

import decode
from aligner_model import CLASS_S, Aligner
from aligner_words import aligner_words
from features import CHUNK_FRAMES, Text, mel_filters, n_audio_tokens

FAR_S = 0.2


def load_timed(name: str) -> list[tuple[np.ndarray, list[str], np.ndarray, str]]:
    """Clips of a shard: (f32 samples, words, [n, 2] seconds, voice); empty while it is not there yet."""
    if not os.path.exists(f"{name}.json"):
        return []
    shard, clips = json.load(open(f"{name}.json")), decode.load_shard(name)
    result = []
    for (samples, text, voice), times in zip(clips, shard["times"]):
        kept = [(word, span) for word, span in zip(aligner_words(text), times) if word]
        result.append((samples, [word for word, _ in kept], np.array([span for _, span in kept], float), voice.split("(")[0]))
    return result


def join(clips: list, pause_s: float = 0.4, longest_s: float = 58.0) -> list:
    """Clips one after another in recordings of up to `longest_s`."""
    joined, parts, words, times, end = [], [], [], [], 0.0
    for samples, clip_words, clip_times, _ in [*clips, (np.zeros(int(16000 * longest_s)), [], np.zeros((0, 2)), "")]:
        if end + len(samples) / 16000 > longest_s and parts:
            joined.append((np.concatenate(parts), words, np.concatenate(times), "joined"))
            parts, words, times, end = [], [], [], 0.0
        pause = np.zeros(int(16000 * pause_s), np.float32)
        parts, words, times = [*parts, samples, pause], words + clip_words, [*times, clip_times + end]
        end += (len(samples) + len(pause)) / 16000
    return joined


@torch.no_grad()
def align(model: Aligner, text: Text, samples: np.ndarray, words: list[str], device) -> np.ndarray:
    """[n_words, 2] seconds: the best class of every slot, nothing corrected."""
    feature = decode.clip_features(samples.astype(np.float32), mel_filters().to(device))
    n_tokens, chunks = n_audio_tokens(feature.shape[1]), decode.padded_chunks(feature.shape[1])
    mel = torch.zeros(1, feature.shape[0], chunks * CHUNK_FRAMES, device=device)
    mel[0, :, :feature.shape[1]] = feature
    special = text.special
    ids = [special["<|audio_start|>"]] + [text.audio] * n_tokens + [special["<|audio_end|>"]]
    for word in words:
        ids += text.encode(word) + [special["<timestamp>"]] * 2
    index = torch.full((1, len(ids)), -1, device=device)
    index[0, 1:1 + n_tokens] = torch.arange(n_tokens, device=device)
    ids = torch.tensor([ids], device=device)
    with torch.autocast("cuda", torch.bfloat16, enabled=torch.device(device).type == "cuda"):
        audio = model.encode(mel, torch.tensor([n_tokens], device=device))
        hidden = model.hidden_states(audio, ids, index)[-1]
        logits = model.thinker.lm_head(hidden[ids == special["<timestamp>"]])
    return logits.float().argmax(-1).view(-1, 2).cpu().numpy() * CLASS_S


def summary(found: list[np.ndarray], true: list[np.ndarray]) -> dict:
    """Average absolute shift of starts and ends in ms, and the share of words off by more than 200 ms at either."""
    shift = np.abs(np.concatenate(found) - np.concatenate(true))
    far = np.nan_to_num(shift, nan=0.0).max(1) > FAR_S
    return {"shift_ms": round(1000 * float(np.nanmean(shift)), 1), "median_ms": round(1000 * float(np.nanmedian(shift)), 1),
            "far_percent": round(100 * float(far.mean()), 2), "words": len(far)}


def report(model, text, clips: list, device, result: dict | None = None) -> str:
    """One line: all clips, all of them joined to recordings of up to 58 s, and each voice."""
    lines, everything = [], {"all": clips, "joined": join(clips)}
    everything |= {voice: [clip for clip in clips if clip[3] == voice] for voice in sorted({clip[3] for clip in clips})}
    found = {}
    for name, chosen in everything.items():
        for clip in chosen:
            if id(clip) not in found:
                found[id(clip)] = align(model, text, clip[0], clip[1], device)
        row = summary([found[id(clip)] for clip in chosen], [clip[2] for clip in chosen])
        lines.append(f"{name} {row['shift_ms']:.0f} ms {row['far_percent']:.1f} %")
        if result is not None:
            result[name] = row
    return "shift, words off by > 200 ms: " + ", ".join(lines)
