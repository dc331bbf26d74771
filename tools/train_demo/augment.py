"""Speech of a batch and its augmentation, all on the GPU: placing, speed, level, reverb, babble, equalisation, noise,
vocal-tract warping and SpecAugment. A quarter of the examples stay nearly clean."""
import random

import numpy as np
import torch
import torch.nn.functional as F

from features import CHUNK_FRAMES, HOP, N_MELS, SAMPLE_RATE, log_mel, mel_filters, spectrum

N_BINS = 201
WARPS = np.linspace(0.84, 1.2, 19)
SILENT_POWER = 1e-9


def place(pool: torch.Tensor, batch: dict) -> torch.Tensor:
    """Copies the pieces of speech to their places, linearly interpolated for their speeds -> f32 [batch, n_samples]."""
    device = pool.device
    n_rows, width = len(batch["n_samples"]), batch["chunks"] * CHUNK_FRAMES * HOP
    waves = torch.zeros(n_rows * width, device=device)
    length = batch["length"]
    total = int(batch["n_copied"])
    if total:
        starts = length.cumsum(0) - length
        piece = torch.repeat_interleave(torch.arange(len(length), device=device), length, output_size=total)
        offset = torch.arange(total, device=device) - starts[piece]
        exact = offset * batch["speed"][piece]  # f64: up to 470,000 samples with a fine fraction
        whole = exact.long()
        fraction = (exact - whole).float()
        at = whole + batch["source"][piece]
        value = pool[at] * (1 - fraction) + pool[at + 1] * fraction
        waves[batch["target"][piece] + offset] = value / 32768
    return waves.view(n_rows, width)


class Augmenter:
    def __init__(self, device: str):
        self.device = device
        self.filters = torch.stack([mel_filters()] + [mel_filters(warp) for warp in WARPS]).to(device)  # [20, 201, 128]

    def uniform(self, n: int, low: float, high: float) -> torch.Tensor:
        return torch.rand(n, device=self.device) * (high - low) + low

    def chance(self, n: int, probability: float) -> torch.Tensor:
        return torch.rand(n, device=self.device) < probability

    def curve(self, n: int, knots: int, scale: float, points: int = N_BINS) -> torch.Tensor:
        """[n, points]: random piecewise linear curves."""
        values = torch.randn(n, 1, knots, device=self.device) * scale
        return F.interpolate(values, points, mode="linear", align_corners=True)[:, 0]

    def __call__(self, waves: torch.Tensor, n_samples: torch.Tensor) -> torch.Tensor:
        """f32 [batch, width] -> normalised log-mel [batch, 128, width / 160], zero past each clip's end."""
        rows = len(waves)
        waves = self.set_level(waves, n_samples)
        if random.random() < 0.4:
            waves = self.reverberate(waves)
        if random.random() < 0.25 and rows > 1:
            waves = self.add_babble(waves)
        inside = torch.arange(waves.shape[1], device=self.device)[None] < n_samples[:, None]
        spectra = spectrum(waves * inside)
        n_frames = n_samples // HOP
        strength = self.uniform(rows, 0.3, 1.0) * self.chance(rows, 0.75)
        spectra = self.add_noise(spectra * self.equaliser(strength)[..., None], n_frames, strength)
        warp = torch.randint(1, len(self.filters), (rows,), device=self.device)
        warp = warp * (self.chance(rows, 0.7) & (strength > 0))
        mel = log_mel(spectra.abs().pow(2), self.filters[warp], n_frames)
        return self.mask(mel, n_frames, self.chance(rows, 0.7) & (strength > 0))

    def set_level(self, waves, n_samples):
        """Root mean square to -40 .. -12 dB of full scale without clipping; silence stays."""
        rms = (waves.pow(2).sum(1) / n_samples).sqrt().clamp_min(1e-6)
        peak = waves.abs().amax(1)
        gain = 10 ** (self.uniform(len(waves), -40, -12) / 20) / rms
        gain = torch.where(peak < 1e-5, torch.ones_like(gain), gain)
        return waves * torch.minimum(gain, 0.99 / peak.clamp_min(1e-6))[:, None]

    def reverberate(self, waves):
        """Exponentially decaying noise as room response, 0.08 to 0.7 s to -60 dB, in 60 % of the examples."""
        rows, width = waves.shape
        n = SAMPLE_RATE // 2
        time = torch.arange(n, device=self.device)[None] / SAMPLE_RATE
        response = torch.randn(rows, n, device=self.device) * torch.exp(-6.9 * time / self.uniform(rows, 0.08, 0.7)[:, None])
        response = response * (time > self.uniform(rows, 0.001, 0.012)[:, None])
        share = self.uniform(rows, 0, 0.8) * self.chance(rows, 0.6)
        response = response / response.pow(2).sum(1, keepdim=True).sqrt() * share[:, None]
        response[:, 0] = 1
        size = width + n
        return torch.fft.irfft(torch.fft.rfft(waves, size) * torch.fft.rfft(response, size), size)[:, :width]

    def add_babble(self, waves):
        """Another example of the batch in the background, 8 to 24 dB below, in 35 % of the examples."""
        rows = len(waves)
        gain = 10 ** (-self.uniform(rows, 8, 24) / 20) * self.chance(rows, 0.35) * (waves.abs().amax(1) > 1e-5)
        level = (waves.pow(2).mean(1) + SILENT_POWER).sqrt()
        shift = random.randrange(1, rows)
        return waves + waves.roll(shift, 0) * (gain * level / level.roll(shift, 0)).clamp_max(1)[:, None]

    def equaliser(self, strength):
        """[batch, 201] gains: a random curve, a tilt, sometimes a low-pass and a high-pass."""
        rows = len(strength)
        decibel = self.curve(rows, 7, 5.0) * strength[:, None]
        tilt = torch.linspace(-1, 1, N_BINS, device=self.device)[None]
        decibel = decibel + tilt * (torch.randn(rows, device=self.device) * 5 * strength)[:, None]
        hertz = torch.arange(N_BINS, device=self.device)[None] * (SAMPLE_RATE / 400)
        low_pass, high_pass = self.uniform(rows, 3200, 8000)[:, None], self.uniform(rows, 60, 350)[:, None]
        decibel = decibel - 45 * ((hertz - low_pass) / 400).clamp(0, 1) * self.chance(rows, 0.25)[:, None]
        decibel = decibel - 30 * ((high_pass - hertz) / 100).clamp(0, 1) * self.chance(rows, 0.25)[:, None]
        return 10 ** (decibel / 20)

    def add_noise(self, spectra, n_frames, strength):
        """Coloured noise, its level wandering in 40 %: 3 to 40 dB below the speech, or the faint noise of a clean line."""
        rows, _, frames = spectra.shape
        power = spectra.abs().pow(2).sum((1, 2)) / (n_frames * N_BINS).clamp_min(1)
        silent = power < SILENT_POWER
        power = torch.where(silent, 10 ** self.uniform(rows, -6, 1), power)
        loud = 10 ** (-self.uniform(rows, 3, 40) / 20)
        faint = 10 ** (-self.uniform(rows, 45, 100) / 20) * self.chance(rows, 0.6)
        level = torch.where(self.chance(rows, 0.75) & ((strength > 0) | silent), loud, faint)
        colour = self.curve(rows, 6, 6.0) - torch.linspace(0, 1, N_BINS, device=self.device)[None] * self.uniform(rows, -5, 35)[:, None]
        colour = 10 ** (colour / 20)
        colour = colour / colour.pow(2).mean(1, keepdim=True).sqrt() * (level * power.sqrt())[:, None] * 0.7071
        wander = torch.randn(rows, 1, max(2, frames // 60), device=self.device) * 4 * self.chance(rows, 0.4)[:, None, None]
        wander = 10 ** (F.interpolate(wander, frames, mode="linear", align_corners=True) / 20)
        noise = torch.view_as_complex(torch.randn(rows, N_BINS, frames, 2, device=self.device))
        return spectra + noise * (colour[..., None] * wander)

    def mask(self, mel, n_frames, chosen):
        """SpecAugment: two bands of up to 22 mel bins, three spans of up to 280 ms or 6 % of the clip, set to zero."""
        rows, _, frames = mel.shape
        bins, times = torch.arange(N_MELS, device=self.device)[None], torch.arange(frames, device=self.device)[None]
        keep_bins = torch.ones(rows, N_MELS, dtype=torch.bool, device=self.device)
        keep_times = torch.ones(rows, frames, dtype=torch.bool, device=self.device)
        for _ in range(2):
            start, size = self.uniform(rows, 0, N_MELS)[:, None], (self.uniform(rows, 0, 22) * chosen)[:, None]
            keep_bins &= ~((bins >= start) & (bins < start + size))
        for _ in range(3):
            start = (self.uniform(rows, 0, 1) * n_frames)[:, None]
            size = (torch.minimum(self.uniform(rows, 0, 28), n_frames * 0.06) * chosen)[:, None]
            keep_times &= ~((times >= start) & (times < start + size))
        return mel * keep_bins[:, :, None] * keep_times[:, None]
