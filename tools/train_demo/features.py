"""Log-mel features on the GPU and the tokenizer and prompt of the demo model, as the official preprocessor has them.

Source: WhisperFeatureExtractor (n_fft 400, hop 160, 128 slaney mel bins) and Qwen3ASRProcessor in Hugging Face
transformers 5.17.
"""
import json

import numpy as np
import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from prepare_text import PRETOKEN, SPECIAL_TOKENS

SAMPLE_RATE, HOP, N_FFT, N_MELS = 16000, 160, 400, 128
CHUNK_FRAMES, CHUNK_TOKENS = 100, 13  # the encoder sees 1 s at a time and makes 13 tokens of it


def n_audio_tokens(n_frames: int) -> int:
    """Three stride-2 convolutions over each 100-frame chunk."""
    return CHUNK_TOKENS * (n_frames // CHUNK_FRAMES) + (n_frames % CHUNK_FRAMES + 7) // 8


def _hz_to_mel(hz):
    return np.where(hz >= 1000, 15 + np.log(np.maximum(hz, 1e-9) / 1000) * 27 / np.log(6.4), 3 * hz / 200)


def _mel_to_hz(mel):
    return np.where(mel >= 15, 1000 * np.exp(np.log(6.4) / 27 * (mel - 15)), 200 * mel / 3)


def mel_filters(warp: float = 1.0) -> torch.Tensor:
    """[201, 128] f32, area-normalised triangles. warp moves every edge: a longer or shorter vocal tract."""
    nyquist = SAMPLE_RATE / 2
    edges = _mel_to_hz(np.linspace(_hz_to_mel(np.float64(0)), _hz_to_mel(np.float64(nyquist)), N_MELS + 2))
    if warp != 1.0:  # linear up to the knee, then a second line that ends at the Nyquist frequency
        knee = 0.6 * nyquist * min(1.0, 1.0 / warp)
        edges = np.where(edges <= knee, edges * warp, nyquist - (nyquist - knee * warp) * (nyquist - edges) / (nyquist - knee))
    bins = np.linspace(0, nyquist, N_FFT // 2 + 1)
    widths, slopes = np.diff(edges), edges[:, None] - bins[None]
    filters = np.maximum(0, np.minimum(-slopes[:-2] / widths[:-1, None], slopes[2:] / widths[1:, None]))
    filters *= (2.0 / (edges[2:] - edges[:-2]))[:, None]
    return torch.tensor(filters.T.copy(), dtype=torch.float32)


def spectrum(samples: torch.Tensor) -> torch.Tensor:
    """[batch, n_samples] -> complex [batch, 201, n_samples / 160]; the last frame is dropped, as Whisper does."""
    window = torch.hann_window(N_FFT, device=samples.device)
    return torch.stft(samples, N_FFT, HOP, window=window, center=True, pad_mode="reflect", return_complex=True)[..., :-1]


def log_mel(power: torch.Tensor, filters: torch.Tensor, n_frames: torch.Tensor) -> torch.Tensor:
    """Power [batch, 201, frames] -> [batch, 128, frames] within 2 of each clip's maximum; zero from n_frames on."""
    mel = torch.matmul(filters.transpose(-1, -2), power).clamp_min(1e-10).log10()
    valid = (torch.arange(mel.shape[-1], device=mel.device)[None] < n_frames[:, None])[:, None]
    top = mel.masked_fill(~valid, -20).amax((1, 2), keepdim=True)
    return (torch.maximum(mel, top - 8) + 4) / 4 * valid


class Text:
    """Tokenizer, prompt and target of the official chat template."""

    def __init__(self, folder: str):
        tokenizer = Tokenizer(models.BPE.from_file(f"{folder}/vocab.json", f"{folder}/merges.txt"))
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(PRETOKEN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
        special = json.load(open(f"{folder}/added_tokens.json"))
        wrong = [token for token in SPECIAL_TOKENS if tokenizer.token_to_id(token) != special[token]]
        if wrong:
            raise SystemExit(f"features: ids of {wrong} differ from {folder}/added_tokens.json")
        self.folder, self.tokenizer, self.special = folder, tokenizer, special
        self.end, self.pad, self.audio = special["<|im_end|>"], special["<|endoftext|>"], special["<|audio_pad|>"]
        self.languages = {name: self.encode(f"language {name}<asr_text>") for name in ("English", "None")}

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: list[int]) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=False)

    def prompt(self, n_tokens: int, context: str = "") -> list[int]:
        before = self.encode(f"<|im_start|>system\n{context}<|im_end|>\n<|im_start|>user\n<|audio_start|>")
        return before + [self.audio] * n_tokens + self.encode("<|audio_end|><|im_end|>\n<|im_start|>assistant\n")

    def transcript(self, ids: list[int]) -> str:
        """What follows <asr_text> in generated ids, up to <|im_end|>."""
        text = self.decode(ids[:ids.index(self.end)] if self.end in ids else ids)
        return text.split("<asr_text>", 1)[-1].replace("<|endoftext|>", "").strip()
