"""Encoder inputs: the log-mel of WhisperFeatureExtractor and the deterministic test signal."""

import numpy as np
import torch
from transformers import WhisperFeatureExtractor

MIN_SAMPLES = 8000  # Qwen3ASRFeatureExtractor pads shorter clips with zeros


def test_signal(n_samples: int) -> np.ndarray:
    """Two tones and noise of a linear congruential generator, f32."""
    state, noise = 1, np.empty(n_samples, dtype=np.float64)
    for n in range(n_samples):
        state = (1664525 * state + 1013904223) & 0xFFFFFFFF
        noise[n] = state / 2.0**32 - 0.5
    phase = 2.0 * np.pi * np.arange(n_samples) / 16000.0
    return (0.5 * np.sin(440 * phase) + 0.25 * np.sin(1870 * phase) + 0.05 * noise).astype(np.float32)


def log_mel(samples: np.ndarray, n_mels: int = 128) -> np.ndarray:
    """[n_mels, floor(n_samples / 160)] f32."""
    extractor = WhisperFeatureExtractor(feature_size=n_mels)
    features = extractor(samples.astype(np.float32), sampling_rate=16000, padding="longest", truncation=False,
                         return_tensors="np")["input_features"][0]
    return features[:, :len(samples) // 160].astype(np.float32)


def pad_short(samples: np.ndarray) -> np.ndarray:
    return np.pad(samples, (0, max(0, MIN_SAMPLES - len(samples))))


def encoder_input(mel: np.ndarray, chunk_frames: int, device="cpu"):
    """Pads with zeros to whole chunks -> (features [1, n_mels, frames], mask [1, frames])."""
    n_mels, n_frames = mel.shape
    padded = -(-n_frames // chunk_frames) * chunk_frames
    features, mask = torch.zeros(1, n_mels, padded), torch.zeros(1, padded, dtype=torch.long)
    features[0, :, :n_frames], mask[0, :n_frames] = torch.from_numpy(mel), 1
    return features.to(device), mask.to(device)
